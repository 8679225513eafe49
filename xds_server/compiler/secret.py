"""Secrets over SDS: listeners' certificates, the CAs that backends are checked against, and what these are shown.

A rotated certificate is an update of a secret: no listener drains, no cluster warms again.
"""

from __future__ import annotations

from collections.abc import Iterator

from xds_server.graph import Backend, Certificate, ClientCertificate, Credentials, Endpoint
from xds_server.snapshot import Resource
from xds_server.wire import message_class

from .encode import encode
from .names import (
    SECRET,
    SYSTEM_ROOTS,
    name_authority_secret,
    name_certificate,
    name_client_certificate,
    name_credentials,
)
from .upstream_credentials import label_credentials


def compile_certificate(gateway: str, listener: str, certificate: Certificate, origin: str) -> Resource:
    """A listener's certificate and key. Only nodes of that gateway may be sent it."""
    return _compile_pair(name_certificate(gateway, listener), certificate.chain, certificate.key, origin)


def compile_secrets(endpoint: Endpoint) -> Iterator[Resource]:
    """All secrets of an endpoint: the CA files that its backends are checked against, and what these are shown."""
    for file, ca in endpoint.authorities.items():
        yield _compile_authority(name_authority_secret(endpoint, file), ca, endpoint.origin)
    for file, client in _list_certificates(endpoint).items():
        yield _compile_pair(
            name_client_certificate(endpoint, file), client.chain, client.key, endpoint.origin
        )
    for label, credentials in _list_credentials(endpoint).items():
        # The whole value of the header.
        name, value = name_credentials(endpoint, label), f"{credentials.prefix}{credentials.secret}"
        message = message_class(SECRET)(name=name, generic_secret={"secret": {"inline_string": value}})
        yield encode(message, name, endpoint.origin)


def name_secrets(endpoint: Endpoint) -> list[str]:
    """The names of what ``compile_secrets`` makes."""
    return [
        *(name_authority_secret(endpoint, file) for file in endpoint.authorities),
        *(name_client_certificate(endpoint, file) for file in _list_certificates(endpoint)),
        *(name_credentials(endpoint, label) for label in _list_credentials(endpoint)),
    ]


def compile_system_roots(ca: str) -> Resource:
    """The public CAs, for ``https`` backends that name no CA. Sent once to a node that asks for them."""
    return _compile_authority(SYSTEM_ROOTS, ca, "")


def _list_certificates(endpoint: Endpoint) -> dict[str, ClientCertificate]:
    """By file."""
    found = (each.tls.client for each in _list_backends(endpoint) if each.tls is not None)
    return {each.file: each for each in found if each is not None}


def _list_credentials(endpoint: Endpoint) -> dict[str, Credentials]:
    """By label."""
    found = (each.credentials for each in _list_backends(endpoint))
    return {label_credentials(each): each for each in found if each is not None}


def _list_backends(endpoint: Endpoint) -> Iterator[Backend]:
    """Those in use. An endpoint that nobody has built refers to no file, so there is nothing to look for in it."""
    if endpoint.unbuilt is None:
        for deployment in endpoint.deployments:
            for revision in deployment.revisions:
                yield from revision.backends


def _compile_authority(name: str, ca: str, origin: str) -> Resource:
    message = message_class(SECRET)(name=name, validation_context={"trusted_ca": {"inline_string": ca}})
    return encode(message, name, origin)


def _compile_pair(name: str, chain: str, key: str, origin: str) -> Resource:
    pair = {"certificate_chain": {"inline_string": chain}, "private_key": {"inline_string": key}}
    return encode(message_class(SECRET)(name=name, tls_certificate=pair), name, origin)
