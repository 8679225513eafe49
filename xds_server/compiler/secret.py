"""Secrets over SDS: listeners' certificates and the CAs that backends are checked against.

A rotated certificate is an update of a secret: no listener drains, no cluster warms again.
"""

from __future__ import annotations

from collections.abc import Iterator

from envoy_data_plane.envoy.config.core.v3 import DataSource
from envoy_data_plane.envoy.extensions.transport_sockets.tls.v3 import (
    CertificateValidationContext,
    Secret,
    TlsCertificate,
)

from xds_server.graph import Certificate, Endpoint
from xds_server.snapshot import Resource

from .encode import encode_typed
from .names import SYSTEM_ROOTS, name_certificate


def compile_certificate(gateway: str, listener: str, certificate: Certificate, origin: str) -> Resource:
    """A listener's certificate and key. Only nodes of that gateway may be sent it."""
    name = name_certificate(gateway, listener)
    pair = TlsCertificate(
        certificate_chain=DataSource(inline_string=certificate.chain),
        private_key=DataSource(inline_string=certificate.key),
    )
    return encode_typed(Secret(name=name, tls_certificate=pair), name, origin)


def compile_authorities(endpoint: Endpoint) -> Iterator[tuple[str, str]]:
    """Name and PEM text of each CA file that an endpoint's backends are checked against."""
    for deployment in endpoint.deployments:
        for revision in deployment.revisions:
            for backend in revision.backends:
                if backend.tls is not None and backend.tls.ca_name is not None and backend.tls.ca is not None:
                    yield backend.tls.ca_name, backend.tls.ca


def compile_authority(name: str, ca: str) -> Resource:
    """A CA bundle as a validation context."""
    context = CertificateValidationContext(trusted_ca=DataSource(inline_string=ca))
    return encode_typed(Secret(name=name, validation_context=context), name)


def compile_system_roots(ca: str) -> Resource:
    """The public CAs, for ``https`` backends that name no CA. Sent once to a node that asks for them."""
    return compile_authority(SYSTEM_ROOTS, ca)
