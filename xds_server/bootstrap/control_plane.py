"""The cluster of the control plane in a bootstrap: where it is, and how both sides know each other."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from .config_source import CONTROL_PLANE

_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_TLS_CONTEXT = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """Files in PEM on the Envoy's machine, which reads them when it starts."""

    ca: str
    """Authorities of which one signed the control plane's certificate."""
    certificate: str | None = None
    """The Envoy's own, if the control plane asks for one; with its `key`."""
    key: str | None = None
    name: str | None = None
    """The name in the control plane's certificate, if it is not the host it is reached at."""


def describe_control_plane(xds: tuple[str, int], trust: Trust | None) -> dict[str, Any]:
    """Describe the cluster as JSON; without `trust` in plain text."""
    # Keepalive finds a control plane that went away without a word; the stream is then opened anew.
    keepalive = {"interval": "10s", "timeout": "5s"}
    options = {"explicit_http_config": {"http2_protocol_options": {"connection_keepalive": keepalive}}}
    address = {"socket_address": {"address": xds[0], "port_value": xds[1]}}
    return {
        "name": CONTROL_PLANE,
        "type": "STRICT_DNS",
        "dns_lookup_family": "V4_PREFERRED",
        "connect_timeout": "2s",
        "load_assignment": {
            "cluster_name": CONTROL_PLANE,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        "typed_extension_protocol_options": {
            _HTTP_OPTIONS: {"@type": f"type.googleapis.com/{_HTTP_OPTIONS}", **options}
        },
        **({} if trust is None else {"transport_socket": _socket(trust.name or xds[0], trust)}),
    }


def _socket(name: str, trust: Trust) -> dict[str, Any]:
    literal = _is_address(name)
    common: dict[str, Any] = {
        # gRPC servers insist on it.
        "alpn_protocols": ["h2"],
        "validation_context": {
            "trusted_ca": {"filename": trust.ca},
            "match_typed_subject_alt_names": [
                {"san_type": "IP_ADDRESS" if literal else "DNS", "matcher": {"exact": name}}
            ],
        },
    }
    if trust.certificate is not None and trust.key is not None:
        common["tls_certificates"] = [
            {"certificate_chain": {"filename": trust.certificate}, "private_key": {"filename": trust.key}}
        ]
    context: dict[str, Any] = {"@type": f"type.googleapis.com/{_TLS_CONTEXT}", "common_tls_context": common}
    if not literal:
        context["sni"] = name
    return {"name": "envoy.transport_sockets.tls", "typed_config": context}


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
