"""The bootstrap of a fleet member: who it is, where the control plane is, and the bounds of the process."""

from __future__ import annotations

from typing import Any, Literal

from google.protobuf.json_format import MessageToDict, ParseDict

from xds_server.wire import descriptor_pool, message_class

from .config_source import CONTROL_PLANE, plain_api, plain_source
from .control_plane import Trust, describe_control_plane

_CONNECTIONS = "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig"

RUNTIME_LAYER = "fairlead"
"""The layer of runtime values that the gateway's policy gives, under the name by which Envoy asks for it."""

Variant = Literal["delta", "sotw"]
Streams = Literal["ads", "per-type"]


def compile_bootstrap(
    *,
    node: str,
    gateway: str,
    region: str,
    xds: tuple[str, int],
    admin: tuple[str, int],
    variant: Variant = "delta",
    streams: Streams = "ads",
    connections: int = 50_000,
    trust: Trust | None = None,
    load_reports: bool = False,
) -> dict[str, Any]:
    """The bootstrap as a JSON object, as Envoy reads it.

    ``node`` is unique in the fleet; ``gateway`` and ``region`` say what the node is sent. ``xds`` and ``admin`` are
    host and port. ``streams`` of ``per-type``: each type is asked for on a stream of its own, instead of all on one.
    ``connections`` bounds the client connections of the process, for which Envoy has no limit by default. With
    ``trust`` the control plane is reached over TLS; with ``load_reports`` it is told the load of each cluster. Raises
    ``google.protobuf.json_format.ParseError`` if a value does not fit the schema.
    """
    here = plain_source("ads" if streams == "ads" else variant)
    bootstrap = {
        "node": {"id": node, "cluster": gateway, "locality": {"region": region}},
        "admin": {"address": _address(admin)},
        "dynamic_resources": {
            **({"ads_config": plain_api(variant)} if streams == "ads" else {}),
            "lds_config": here,
            "cds_config": here,
        },
        # What the gateway's `runtime` says, and above it what an operator sets by hand on the admin page.
        "layered_runtime": {
            "layers": [
                *([{"name": "load_reports", "static_layer": _LOAD_REPORTS}] if load_reports else []),
                {"name": RUNTIME_LAYER, "rtds_layer": {"name": RUNTIME_LAYER, "rtds_config": here}},
                {"name": "admin", "admin_layer": {}},
            ]
        },
        "static_resources": {"clusters": [describe_control_plane(xds, trust)]},
        "cluster_manager": {
            # A worker has a cluster's hosts when it first sends to it.
            "enable_deferred_cluster_creation": True,
            **({"load_stats_config": plain_api("sotw")} if load_reports else {}),
        },
        # A cluster's traffic statistics are made when it first has traffic.
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        # Nobody is sent statistics, they are asked for. Merging those of 10,000 clusters every five seconds holds up
        # the main thread for 40 ms, and with it what comes from the control plane.
        "stats_flush_on_admin": True,
        # What a large configuration took while it was read goes back to the system, a little at a time. Envoy's
        # allocator keeps it otherwise.
        "memory_allocator_manager": {"bytes_to_release": 16 << 20, "memory_release_interval": "1s"},
        "stats_config": {"stats_matcher": {"inclusion_list": {"patterns": [*_STATS, *_CLUSTER_STATS]}}},
        "overload_manager": {
            "resource_monitors": [
                {
                    "name": "envoy.resource_monitors.global_downstream_max_connections",
                    "typed_config": {
                        "@type": f"type.googleapis.com/{_CONNECTIONS}",
                        "max_active_downstream_connections": connections,
                    },
                }
            ]
        },
    }
    message = ParseDict(
        bootstrap, message_class("envoy.config.bootstrap.v3.Bootstrap")(), descriptor_pool=descriptor_pool()
    )
    plain: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, descriptor_pool=descriptor_pool()
    )
    return plain


# Envoy 1.36 is silent on requests in progress while there is no new one, unless told so; later releases do not know the
# word: https://github.com/envoyproxy/envoy/blob/v1.36.4/source/common/upstream/load_stats_reporter.cc
_LOAD_REPORTS = {"envoy.reloadable_features.report_load_with_rq_issued": False}

# Statistics are most of what a cluster costs in Envoy's memory; these are what an operator needs.
_STATS = tuple(
    {"prefix": prefix}
    for prefix in (
        "cluster_manager.",
        "control_plane.",
        "extension_config_discovery.",
        "http.",
        "listener.",
        "listener_manager.",
        "overload.",
        "runtime.",
        "sds.",
        "server.",
        f"cluster.{CONTROL_PLANE}.",
    )
)
_CLUSTER_STATS = tuple(
    {"suffix": suffix}
    for suffix in (
        ".init_fetch_timeout",
        ".membership_healthy",
        ".update_rejected",
        ".upstream_cx_connect_fail",
        ".upstream_rq_5xx",
        ".upstream_rq_total",
    )
)


def _address(at: tuple[str, int]) -> dict[str, Any]:
    return {"socket_address": {"address": at[0], "port_value": at[1]}}
