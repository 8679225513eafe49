"""Where Envoy fetches the keys of issuers that publish them at a URI."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Any

from xds_server.graph import Authority
from xds_server.snapshot import Resource
from xds_server.wire import message_class, pack

from .authentication import split_key_uri
from .dns import DNS_DISCOVERY
from .encode import encode
from .names import CLUSTER, SYSTEM_ROOTS, name_key_cluster
from .target import Target

_TLS_CONTEXT = "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"


def compile_key_cluster(authority: Authority, target: Target) -> Resource:
    """The cluster of an issuer's JWKS URI; its authority must have one."""
    name = name_key_cluster(authority.name)
    assert authority.issuer.spec.jwks.uri is not None
    scheme, host, port = split_key_uri(authority.issuer.spec.jwks.uri)
    address = {"socket_address": {"address": host, "port_value": port}}
    message = message_class(CLUSTER)(
        name=name,
        connect_timeout={"seconds": 2},
        load_assignment={
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
        },
        **DNS_DISCOVERY,
        **({"transport_socket": _tls(host, target)} if scheme == "https" else {}),
    )
    return encode(message, name, str(authority.issuer.origin))


def _tls(host: str, target: Target) -> dict[str, Any]:
    is_ip = _is_ip(host)
    san = {"san_type": "IP_ADDRESS" if is_ip else "DNS", "matcher": {"exact": host}}
    context = message_class(_TLS_CONTEXT)(
        sni="" if is_ip else host,
        common_tls_context={
            "combined_validation_context": {
                "default_validation_context": {"match_typed_subject_alt_names": [san]},
                "validation_context_sds_secret_config": {"name": SYSTEM_ROOTS, "sds_config": target.source},
            }
        },
    )
    return {"name": "envoy.transport_sockets.tls", "typed_config": pack(context)}


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
