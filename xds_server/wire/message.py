"""Message classes by full name, built on first use in a private descriptor pool.

A private pool keeps these classes apart from any other package that ships Envoy's protos in this process.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from threading import Lock
from typing import Any

from google.protobuf import any_pb2, duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from .schema import describe_enum, describe_message, enum_name, find_class, full_name, is_well_known

_WELL_KNOWN_FILES = tuple(
    module.DESCRIPTOR
    for module in (any_pb2, duration_pb2, empty_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
)

# All that Fairlead encodes by the thousand or exchanges with a client, whole closures included. A message used
# inside an Any is reached by no field, so it is named here.
ROOTS = (
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
    "envoy.extensions.access_loggers.stream.v3.StderrAccessLog",
    "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog",
    "envoy.extensions.clusters.aggregate.v3.ClusterConfig",
    "envoy.extensions.common.matching.v3.ExtensionWithMatcher",
    "envoy.extensions.filters.common.matcher.action.v3.SkipFilter",
    "envoy.extensions.filters.http.header_mutation.v3.HeaderMutation",
    "envoy.extensions.filters.http.header_to_metadata.v3.Config",
    "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
    "envoy.extensions.filters.http.lua.v3.Lua",
    "envoy.extensions.filters.http.on_demand.v3.OnDemand",
    "envoy.extensions.filters.http.rbac.v3.RBAC",
    "envoy.extensions.filters.http.rbac.v3.RBACPerRoute",
    "envoy.extensions.filters.http.router.v3.Router",
    "envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
    "envoy.extensions.filters.http.set_filter_state.v3.Config",
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
    "envoy.service.load_stats.v3.LoadStatsRequest",
    "envoy.service.load_stats.v3.LoadStatsResponse",
    "envoy.service.runtime.v3.Runtime",
    "envoy.service.status.v3.ClientStatusRequest",
    "envoy.service.status.v3.ClientStatusResponse",
    "envoy.type.matcher.v3.HttpRequestHeaderMatchInput",
)


_building = Lock()


def descriptor_pool() -> DescriptorPool:
    """The pool that holds every message reachable from ``ROOTS``; for JSON in and out of ``Any``."""
    with _building:  # two threads that come first together would make two
        return _build()


@cache
def _build() -> DescriptorPool:
    # One file without a package holds them all: a package is modelled as a message around its members, which
    # gives the same full names and lets packages refer to each other freely, as generated files may not.
    file = FileDescriptorProto(name="fairlead/envoy.proto", syntax="proto3")
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
        pending.extend(sorted(fresh, key=lambda each: each.__qualname__))
    pool = DescriptorPool()
    for well_known in _WELL_KNOWN_FILES:
        pool.AddSerializedFile(well_known.serialized_pb)
        file.dependency.append(well_known.name)
    pool.AddSerializedFile(file.SerializeToString())
    # All classes now: protobuf makes one when it first meets it, and two threads may meet it together.
    for name in (*(each.name for each in _WELL_KNOWN_FILES), file.name):
        for descriptor in pool.FindFileByName(name).message_types_by_name.values():
            _make_classes(descriptor)
    return pool


def _make_classes(descriptor: Descriptor) -> None:
    GetMessageClass(descriptor)
    for nested in descriptor.nested_types:
        _make_classes(nested)


@cache
def message_class(name: str) -> type[Message]:
    """The upb class of an Envoy API message.

    ``name`` is a full protobuf name, as ``envoy.config.route.v3.RouteConfiguration``. The class takes nested
    dicts and lists as keyword arguments. Raises ``KeyError`` if nothing in ``ROOTS`` reaches the message.
    """
    return GetMessageClass(descriptor_pool().FindMessageTypeByName(name))


@cache  # every resource has one: the same text for all of a type
def type_url(name: str) -> str:
    """The type URL of a message: https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#resource-types."""
    return f"type.googleapis.com/{name}"


def pack(message: Message) -> dict[str, Any]:
    """The message as the content of an ``Any``: ``{"type_url", "value"}``, encoded deterministically."""
    return {
        "type_url": type_url(message.DESCRIPTOR.full_name),
        "value": message.SerializeToString(deterministic=True),
    }


def _scope(file: FileDescriptorProto, scopes: dict[str, DescriptorProto], name: str) -> DescriptorProto:
    if name in scopes:
        return scopes[name]
    outer, _, last = name.rpartition(".")
    scope = _scope(file, scopes, outer).nested_type.add() if outer else file.message_type.add()
    scope.name = last
    scopes[name] = scope
    return scope
