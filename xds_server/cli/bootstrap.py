"""The bootstrap of a fleet member: the little that an Envoy must know before it can ask for the rest.

In: who the node is and where the control plane is reached. Out: an Envoy bootstrap as plain data, for JSON or
YAML. https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/bootstrap/v3/bootstrap.proto
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

XDS_CLUSTER: Final = "fairlead-xds"
ADMIN_PORT: Final = 19000
CONNECTIONS: Final = 50_000
HTTP_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
CONNECTION_MONITOR: Final = "envoy.resource_monitors.global_downstream_max_connections"
CONNECTION_LIMIT: Final = (
    "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"
)

# Statistics are most of what a cluster costs an Envoy, so of a cluster's hundred only those are kept that
# somebody acts on. What exists once per Envoy is kept whole.
KEPT_PREFIXES: Final = (
    "server.",
    "http.",
    "listener.",
    "listener_manager.",
    "cluster_manager.",
    "control_plane.",
    "extension_config_discovery.",
    "overload.",
    f"cluster.{XDS_CLUSTER}.",
)
KEPT_SUFFIXES: Final = (
    ".membership_healthy",
    ".membership_total",
    ".update_rejected",
    ".upstream_cx_active",
    ".upstream_cx_connect_fail",
    ".upstream_rq_2xx",
    ".upstream_rq_4xx",
    ".upstream_rq_5xx",
    ".upstream_rq_active",
    ".upstream_rq_pending_overflow",
    ".upstream_rq_retry",
    ".upstream_rq_time",
    ".upstream_rq_timeout",
    ".upstream_rq_total",
)


class Variant(StrEnum):
    """Which of xDS's two dialects the Envoy speaks."""

    DELTA = "delta"
    SOTW = "sotw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One Envoy of a fleet: what its bootstrap is made of. ``connections`` is the most it accepts at once."""

    gateway: str
    region: str
    xds_host: str
    xds_port: int
    admin_port: int = ADMIN_PORT
    node: str | None = None
    variant: Variant = Variant.DELTA
    connections: int = CONNECTIONS

    @property
    def node_id(self) -> str:
        """The name it goes by: the same after a restart, another for a second member on the machine."""
        if self.node is not None:
            return self.node
        port = "" if self.admin_port == ADMIN_PORT else f".{self.admin_port}"
        return f"{self.gateway}.{self.region}.{socket.gethostname()}{port}"


def make_bootstrap(member: Member) -> dict[str, Any]:
    """Return the bootstrap: identity, the one connection to the control plane, all else over it (ADS)."""
    over_ads = {"ads": {}, "resource_api_version": "V3"}
    return {
        "node": {
            "id": member.node_id,
            "cluster": member.gateway,
            "locality": {"region": member.region},
        },
        "admin": {"address": _address("127.0.0.1", member.admin_port)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC" if member.variant is Variant.DELTA else "GRPC",
                "transport_api_version": "V3",
                "set_node_on_first_message_only": True,
                "grpc_services": [{"envoy_grpc": _control_plane()}],
            },
            "lds_config": over_ads,
            "cds_config": over_ads,
        },
        "static_resources": {"clusters": [_xds_cluster(member)]},
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": _kept_statistics()}}},
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": CONNECTION_MONITOR,
                    "typed_config": {
                        "@type": f"type.googleapis.com/{CONNECTION_LIMIT}",
                        "max_active_downstream_connections": member.connections,
                    },
                }
            ]
        },
    }


def _control_plane() -> dict[str, Any]:
    # Envoy's own back-off grows to 30 s, which is how long a fleet would stay behind after a restart.
    back_off = {"base_interval": "0.250s", "max_interval": "5s"}
    return {"cluster_name": XDS_CLUSTER, "retry_policy": {"retry_back_off": back_off}}


def _xds_cluster(member: Member) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": _address(member.xds_host, member.xds_port)}}
    keepalive = {"connection_keepalive": {"interval": "15s", "timeout": "5s"}}
    return {
        "name": XDS_CLUSTER,
        "type": "STRICT_DNS",
        "connect_timeout": "2s",
        "load_assignment": {"cluster_name": XDS_CLUSTER, "endpoints": [{"lb_endpoints": [endpoint]}]},
        "typed_extension_protocol_options": {
            HTTP_OPTIONS: {
                "@type": f"type.googleapis.com/{HTTP_OPTIONS}",
                "explicit_http_config": {"http2_protocol_options": keepalive},
            }
        },
    }


def _kept_statistics() -> list[dict[str, str]]:
    prefixes = [{"prefix": text} for text in KEPT_PREFIXES]
    return prefixes + [{"suffix": text} for text in KEPT_SUFFIXES]


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
