"""Requests that wait for a backend: Envoy parks them, and says so.

A filter in front of the router looks whether the cluster of the chosen revision is there. Where the route says so, and
it is not, the request waits until it is. The filter stands behind all that decides who may call: nobody has a revision
woken who may not use it. https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_filters/
on_demand_updates_filter

What the filter asks for, Envoy asks for once in its life: that a request waits is told by an access log, again and
again as long as it does. https://www.envoyproxy.io/docs/envoy/latest/api-v3/data/accesslog/v3/accesslog.proto
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from envoy_data_plane.envoy.config.accesslog.v3 import (
    AccessLog,
    AccessLogFilter,
    AndFilter,
    ExtensionFilter,
    OrFilter,
)
from envoy_data_plane.envoy.config.accesslog.v3 import LogTypeFilter as LogType
from envoy_data_plane.envoy.config.core.v3 import ApiVersion, GrpcService, GrpcServiceEnvoyGrpc
from envoy_data_plane.envoy.data.accesslog.v3 import AccessLogType
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from envoy_data_plane.envoy.extensions.access_loggers.grpc.v3 import (
    CommonGrpcAccessLogConfig,
    HttpGrpcAccessLogConfig,
)
from envoy_data_plane.envoy.extensions.filters.http.on_demand.v3 import OnDemand
from envoy_data_plane.envoy.type.metadata.v3 import (
    MetadataKey,
    MetadataKeyPathSegment,
    MetadataKind,
    MetadataKindRoute,
)
from envoy_data_plane.envoy.type.tracing.v3 import CustomTag, CustomTagMetadata
from envoy_data_plane.google.protobuf import Any as Packed

from xds_server.bootstrap import CONTROL_PLANE
from xds_server.graph import Scaling
from xds_server.snapshot import WAITED_ENVIRONMENT, WAITED_REVISIONS, WAITS_LOG
from xds_server.wire import message_class, pack

from .names import PATH_HEADER, PATH_STATE, SCALING_METADATA, WAITING
from .source import waits_source
from .target import Target

_PER_ROUTE: Final = "envoy.extensions.filters.http.on_demand.v3.PerRouteConfig"
_RETRY_AFTER: Final = "retry_after"
RETRY_AFTER: Final = f"%METADATA(ROUTE:{SCALING_METADATA}:{_RETRY_AFTER})%"
"""In a local reply: what the route says of when to come back."""
_SCALES: Final = f"'{SCALING_METADATA}' in xds.route_metadata.filter_metadata"
NO_BACKEND: Final = (
    "(response.code_details == 'cluster_not_found' || response.code_details == 'no_healthy_upstream')"
    f" && {_SCALES}"
)
"""When a request of such a route found no backend: where it could wait there is no cluster, elsewhere an empty one."""
_WAITS: Final = f"{_SCALES} && !has(upstream.address) && !('{PATH_HEADER}' in request.headers)"
"""When it waits for one: without the header that a filter in front takes out, it has passed all that may refuse it."""

TELLING_EVERY: Final = timedelta(milliseconds=500)
"""How often Envoy says of a request that it waits."""
_SOON: Final = timedelta(milliseconds=50)


def waiting_filter() -> OnDemand:
    """The filter, which does nothing unless a route says so."""
    return OnDemand()


def describe_wait(scaling: Scaling | None, target: Target) -> dict[str, Any]:
    """What a route tells the filter; nothing for an Envoy that cannot let a request wait."""
    if scaling is None or target.fetching is None:
        return {}
    wait = {"source": waits_source(), "timeout": timedelta(seconds=scaling.hold)}
    return {WAITING: pack(message_class(_PER_ROUTE)(odcds=wait))}


def describe_return(scaling: Scaling | None, environment: str, revisions: Iterable[str]) -> dict[str, Any]:
    """The metadata by namespace of a route to these revisions: when to come back, and what waits; none where no request
    waits."""
    if scaling is None:
        return {}
    # No name of a revision has a comma.
    values = {
        WAITED_ENVIRONMENT: environment,
        WAITED_REVISIONS: ",".join(revisions),
        _RETRY_AFTER: str(scaling.retry_after),
    }
    fields = {name: {"string_value": value} for name, value in values.items()}
    return {SCALING_METADATA: message_class("google.protobuf.Struct")(fields=fields)}


def compile_wait_log() -> AccessLog:
    """What tells the control plane of requests that wait, and of those that found no backend where none can wait."""
    common = CommonGrpcAccessLogConfig(
        log_name=WAITS_LOG,
        grpc_service=GrpcService(envoy_grpc=GrpcServiceEnvoyGrpc(cluster_name=CONTROL_PLANE)),
        transport_api_version=ApiVersion.V3,
        buffer_flush_interval=_SOON,
        filter_state_objects_to_log=[PATH_STATE],
        custom_tags=[_tag(WAITED_ENVIRONMENT), _tag(WAITED_REVISIONS)],
    )
    config = HttpGrpcAccessLogConfig(common_config=common)
    return AccessLog(
        name="envoy.access_loggers.http_grpc",
        filter=AccessLogFilter(
            or_filter=OrFilter(
                filters=[
                    _when(AccessLogType.DownstreamPeriodic, _WAITS),
                    _when(AccessLogType.DownstreamEnd, NO_BACKEND),
                ]
            )
        ),
        typed_config=Packed.pack(config),
    )


def _when(kind: AccessLogType, expression: str) -> AccessLogFilter:
    condition = ExtensionFilter(name="cel", typed_config=Packed.pack(ExpressionFilter(expression=expression)))
    both = [
        AccessLogFilter(log_type_filter=LogType(types=[kind])),
        AccessLogFilter(extension_filter=condition),
    ]
    return AccessLogFilter(and_filter=AndFilter(filters=both))


def _tag(name: str) -> CustomTag:
    key = MetadataKey(key=SCALING_METADATA, path=[MetadataKeyPathSegment(key=name)])
    kind = MetadataKind(route=MetadataKindRoute())
    return CustomTag(tag=name, metadata=CustomTagMetadata(kind=kind, metadata_key=key))
