"""TLS towards backends: server name, expected name in the certificate; and over SDS, the CA and our own certificate."""

from __future__ import annotations

from typing import Any

from xds_server.graph import Backend, Endpoint, Revision, UpstreamTls
from xds_server.wire import message_class, pack

from .encode import flat_struct
from .names import SYSTEM_ROOTS, name_authority_secret, name_client_certificate
from .target import Target

_TLS_CONTEXT = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


def describe_transport(endpoint: Endpoint, revision: Revision, target: Target) -> dict[str, Any]:
    """The cluster's transport fields: none for plain HTTP, one socket if all agree, else one chosen per endpoint."""
    settings = _distinct(revision)
    if len(settings) == 1:
        [tls] = settings
        return {} if tls is None else {"transport_socket": _socket(endpoint, tls, target)}
    # Envoy takes `auto_config` only where the cluster's own socket does ALPN, though every endpoint has another one.
    own = (
        {}
        if settings[0] is None or None in settings
        else {"transport_socket": _socket(endpoint, settings[0], target)}
    )
    return {
        **own,
        "transport_socket_matches": [
            {
                "name": _label(tls),
                "match": flat_struct({"tls": _label(tls)}),
                "transport_socket": _socket(endpoint, tls, target),
            }
            for tls in settings
            if tls is not None
        ],
    }


def name_match(revision: Revision, backend: Backend) -> str | None:
    """The transport socket match that an endpoint asks for, or ``None`` where the cluster's own will do."""
    if len(_distinct(revision)) == 1 or backend.tls is None:
        return None
    return _label(backend.tls)


def _distinct(revision: Revision) -> list[UpstreamTls | None]:
    return list(dict.fromkeys(backend.tls for backend in revision.backends)) or [None]


def _label(tls: UpstreamTls) -> str:
    shown = "" if tls.client is None else f" {tls.client.file}"
    return f"{tls.name} {tls.ca_file or SYSTEM_ROOTS}{shown}"


def _client(endpoint: Endpoint, tls: UpstreamTls, target: Target) -> dict[str, Any]:
    """What the backend is shown: over SDS, so that a new certificate leaves the cluster as it is."""
    if tls.client is None:
        return {}
    secret = {"name": name_client_certificate(endpoint, tls.client.file), "sds_config": target.source}
    return {"tls_certificate_sds_secret_configs": [secret]}


def _socket(endpoint: Endpoint, tls: UpstreamTls, target: Target) -> dict[str, Any]:
    secret = SYSTEM_ROOTS if tls.ca_file is None else name_authority_secret(endpoint, tls.ca_file)
    context = message_class(_TLS_CONTEXT)(
        sni="" if tls.is_ip else tls.name,
        common_tls_context={
            "alpn_protocols": ["h2", "http/1.1"],
            **_client(endpoint, tls, target),
            "combined_validation_context": {
                "default_validation_context": {
                    "match_typed_subject_alt_names": [
                        {"san_type": "IP_ADDRESS" if tls.is_ip else "DNS", "matcher": {"exact": tls.name}}
                    ]
                },
                "validation_context_sds_secret_config": {
                    "name": secret,
                    "sds_config": target.source,
                },
            },
        },
    )
    return {"name": "envoy.transport_sockets.tls", "typed_config": pack(context)}
