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
from .names import SYSTEM_ROOTS, name_authority_secret, name_certificate


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
    files = {
        backend.tls.ca_file: backend.tls.ca
        for deployment in endpoint.deployments
        for revision in deployment.revisions
        for backend in revision.backends
        if backend.tls is not None
    }
    for file, ca in files.items():
        if file is not None and ca is not None:
            yield _compile_authority(name_authority_secret(endpoint, file), ca, endpoint.origin)


def compile_system_roots(ca: str) -> Resource:
    """The public CAs, for ``https`` backends that name no CA. Sent once to a node that asks for them."""
    return _compile_authority(SYSTEM_ROOTS, ca, "")


def _compile_authority(name: str, ca: str, origin: str) -> Resource:
    context = CertificateValidationContext(trusted_ca=DataSource(inline_string=ca))
    return encode_typed(Secret(name=name, validation_context=context), name, origin)
