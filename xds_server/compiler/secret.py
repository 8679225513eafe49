"""Secrets over SDS: listeners' certificates, the CAs that backends are checked against, and what these are shown.

A rotated certificate is an update of a secret: no listener drains, no cluster warms again.
"""

from __future__ import annotations

from collections.abc import Iterator

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    Secret,
    TlsCertificate,
)

from xds_server.graph import Certificate, Credentials, Endpoint
from xds_server.snapshot import Resource
from xds_server.wire import message_class

from .encode import encode, encode_typed
from .names import SECRET, SYSTEM_ROOTS, name_authority_secret, name_certificate, name_credentials
from .upstream_credentials import label_credentials, list_credentials


def compile_certificate(gateway: str, listener: str, certificate: Certificate, origin: str) -> Resource:
    """A listener's certificate and key. Only nodes of that gateway may be sent it."""
    name = name_certificate(gateway, listener)
    pair = TlsCertificate(
        certificate_chain=DataSource(inline_string=certificate.chain),
        private_key=DataSource(inline_string=certificate.key),
    )
    return encode_typed(Secret(name=name, tls_certificate=pair), name, origin)


def compile_secrets(endpoint: Endpoint) -> Iterator[Resource]:
    """All secrets of an endpoint: the CA files that its backends are checked against, and what these are shown."""
    for file, ca in endpoint.authorities.items():
        yield _compile_authority(name_authority_secret(endpoint, file), ca, endpoint.origin)
    for label, credentials in _list_credentials(endpoint).items():
        # The whole value of the header.
        name, value = name_credentials(endpoint, label), f"{credentials.prefix}{credentials.secret}"
        message = message_class(SECRET)(name=name, generic_secret={"secret": {"inline_string": value}})
        yield encode(message, name, endpoint.origin)


def name_secrets(endpoint: Endpoint) -> list[str]:
    """The names of what ``compile_secrets`` makes."""
    return [
        *(name_authority_secret(endpoint, file) for file in endpoint.authorities),
        *(name_credentials(endpoint, label) for label in _list_credentials(endpoint)),
    ]


def _list_credentials(endpoint: Endpoint) -> dict[str, Credentials]:
    """By label. One that nobody has built refers to no file, so it has none."""
    if endpoint.unbuilt is not None:
        return {}
    return {
        label_credentials(each): each
        for deployment in endpoint.deployments
        for revision in deployment.revisions
        for each in list_credentials(revision)
    }


def compile_system_roots(ca: str) -> Resource:
    """The public CAs, for ``https`` backends that name no CA. Sent once to a node that asks for them."""
    return _compile_authority(SYSTEM_ROOTS, ca, "")


def _compile_authority(name: str, ca: str, origin: str) -> Resource:
    message = message_class(SECRET)(name=name, validation_context={"trusted_ca": {"inline_string": ca}})
    return encode(message, name, origin)
