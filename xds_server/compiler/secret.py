"""Secrets over SDS: listeners' certificates and the CAs that backends are checked against.

A rotated certificate is an update of a secret: no listener drains, no cluster warms again.
"""

from __future__ import annotations

from collections.abc import Iterator

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    Secret,
    TlsCertificate,
)

from xds_server.graph import Certificate, Endpoint
from xds_server.snapshot import Resource
from xds_server.wire import message_class

from .encode import encode, encode_typed
from .names import SECRET, SYSTEM_ROOTS, name_authority_secret, name_certificate


def compile_certificate(gateway: str, listener: str, certificate: Certificate, origin: str) -> Resource:
    """A listener's certificate and key. Only nodes of that gateway may be sent it."""
    name = name_certificate(gateway, listener)
    pair = TlsCertificate(
        certificate_chain=DataSource(inline_string=certificate.chain),
        private_key=DataSource(inline_string=certificate.key),
    )
    return encode_typed(Secret(name=name, tls_certificate=pair), name, origin)


def compile_authorities(endpoint: Endpoint) -> Iterator[Resource]:
    """The CA files that an endpoint's backends are checked against, each a validation context."""
    for file, ca in endpoint.authorities.items():
        yield _compile_authority(name_authority_secret(endpoint, file), ca, endpoint.origin)


def name_authorities(endpoint: Endpoint) -> list[str]:
    """The names of what ``compile_authorities`` makes."""
    return [name_authority_secret(endpoint, file) for file in endpoint.authorities]


def compile_system_roots(ca: str) -> Resource:
    """The public CAs, for ``https`` backends that name no CA. Sent once to a node that asks for them."""
    return _compile_authority(SYSTEM_ROOTS, ca, "")


def _compile_authority(name: str, ca: str, origin: str) -> Resource:
    message = message_class(SECRET)(name=name, validation_context={"trusted_ca": {"inline_string": ca}})
    return encode(message, name, origin)
