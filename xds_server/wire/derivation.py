"""Derivation: the definitions of all messages, as a file descriptor made of envoy-data-plane's classes.

That takes about a second, most of it to import the classes, so it is not done at each start. What it gives for one
version of envoy-data-plane is kept in a file of that name, which `python -m xds_server.wire` writes. With
another version installed the definitions are derived at the start.
"""

from __future__ import annotations

from enum import IntEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto

from xds_server.wire.well_known import FILES, is_well_known

NAME: Final = "fairlead/envoy.proto"
"""Of the file descriptor."""

# All that Fairlead encodes by the thousand or exchanges with a client, whole closures included. A message used
# inside an Any is reached by no field, so it is named here.
ROOTS: Final = (
    "envoy.service.discovery.v3.DiscoveryRequest",
    "envoy.service.discovery.v3.DiscoveryResponse",
    "envoy.service.discovery.v3.DeltaDiscoveryRequest",
    "envoy.service.discovery.v3.DeltaDiscoveryResponse",
    "envoy.config.bootstrap.v3.Bootstrap",
    "envoy.config.cluster.v3.Cluster",
    "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "envoy.config.listener.v3.Listener",
    "envoy.config.route.v3.RouteConfiguration",
    "envoy.config.route.v3.ScopedRouteConfiguration",
    "envoy.extensions.access_loggers.filters.cel.v3.ExpressionFilter",
    "envoy.extensions.access_loggers.grpc.v3.HttpGrpcAccessLogConfig",
    "envoy.extensions.access_loggers.stream.v3.StderrAccessLog",
    "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
    "envoy.extensions.clusters.aggregate.v3.ClusterConfig",
    "envoy.extensions.common.matching.v3.ExtensionWithMatcher",
    "envoy.extensions.filters.common.matcher.action.v3.SkipFilter",
    "envoy.extensions.filters.http.composite.v3.Composite",
    "envoy.extensions.filters.http.composite.v3.ExecuteFilterAction",
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutationPerRoute",
    "envoy.extensions.filters.http.header_to_metadata.v3.Config",
    "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
    "envoy.extensions.filters.http.lua.v3.Lua",
    "envoy.extensions.filters.http.lua.v3.LuaPerRoute",
    "envoy.extensions.filters.http.on_demand.v3.OnDemand",
    "envoy.extensions.filters.http.on_demand.v3.PerRouteConfig",
    "envoy.extensions.filters.http.rbac.v3.RBAC",
    "envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
    "envoy.extensions.filters.http.router.v3.Router",
    "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
    "envoy.extensions.filters.http.set_filter_state.v3.Config",
    "envoy.extensions.filters.http.set_metadata.v3.Config",
    "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector",
    "envoy.extensions.filters.network.connection_limit.v3.ConnectionLimit",
    "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    "envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
    "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
    "envoy.extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate",
    "envoy.extensions.retry.priority.previous_priorities.v3.PreviousPrioritiesConfig",
    "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
    "envoy.extensions.transport_sockets.tls.v3.Secret",
    "envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    "envoy.service.accesslog.v3.StreamAccessLogsMessage",
    "envoy.service.load_stats.v3.LoadStatsRequest",
    "envoy.service.load_stats.v3.LoadStatsResponse",
    "envoy.service.runtime.v3.Runtime",
    "envoy.service.status.v3.ClientStatusRequest",
    "envoy.service.status.v3.ClientStatusResponse",
    "envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
    "envoy.extensions.http.injected_credentials.generic.v3.Generic",
    "envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
)


def place() -> Path:
    """Where the definitions are kept that were derived from the envoy-data-plane that is installed."""
    return Path(__file__).with_name(f"envoy-data-plane-{version('envoy-data-plane')}.binpb")


def load() -> bytes:
    """The file descriptor, encoded: as it is kept, or derived now."""
    try:
        return place().read_bytes()
    except FileNotFoundError:
        return derive()


def derive() -> bytes:
    """The file descriptor of every message reachable from ``ROOTS``, encoded.

    One file without a package holds them all: a package is modelled as a message around its members, which gives the
    same full names and lets packages refer to each other freely, as generated files may not.
    """
    # Only here: it imports envoy-data-plane.
    from xds_server.wire.schema import describe_enum, describe_message, enum_name, find_class, full_name

    file = FileDescriptorProto(name=NAME, syntax="proto3", dependency=[each.name for each in FILES])
    scopes: dict[str, DescriptorProto] = {}
    pending: list[type[Any]] = [find_class(name) for name in ROOTS]
    seen: set[type[Any]] = set(pending)
    while pending:
        cls = pending.pop()
        if issubclass(cls, IntEnum):
            scope = _scope(file, scopes, f"{enum_name(cls)}_")
            scope.enum_type.append(describe_enum(cls))
            continue
        if is_well_known(full_name(cls)):
            continue
        described, used = describe_message(cls)
        _scope(file, scopes, full_name(cls)).MergeFrom(described)
        fresh = used - seen
        seen |= fresh
        pending.extend(sorted(fresh, key=lambda each: (each.__module__, each.__qualname__)))
    return file.SerializeToString(deterministic=True)


def _scope(file: FileDescriptorProto, scopes: dict[str, DescriptorProto], name: str) -> DescriptorProto:
    if name in scopes:
        return scopes[name]
    outer, _, last = name.rpartition(".")
    scope = _scope(file, scopes, outer).nested_type.add() if outer else file.message_type.add()
    scope.name = last
    scopes[name] = scope
    return scope


def write() -> None:
    """Write the definitions to their place, instead of those of other versions."""
    for path in place().parent.glob("envoy-data-plane-*.binpb"):
        path.unlink()
    place().write_bytes(derive())
