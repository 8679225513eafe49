"""What went over an xDS stream, message by message: the entries of a trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from hashlib import blake2b
from typing import Any, Literal

from xds_server.protocol.types import CLUSTER, EXTENSION, ROUTE, SCOPE
from xds_server.wire import message_class

Variant = Literal["delta", "sotw"]
Kind = Literal["open", "request", "response", "end"]

_DISCOVERY = "envoy.service.discovery.v3."
_PREFIX = "type.googleapis.com/"


@dataclass(frozen=True, slots=True)
class Item:
    """One resource in a response."""

    name: str
    digest: str
    """Of its bytes."""
    version: str = ""
    """Its own, in the delta variant."""
    type_url: str = ""
    """What its `Any` says."""
    inner_name: str = ""
    """What its body says."""
    ttl: bool = False
    refers: frozenset[str] = frozenset()
    """Clusters that a route leads to; the route configuration of a scope."""
    warms: str = ""
    """The endpoints that an EDS cluster waits for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One message, or the beginning or end of a stream."""

    at: float
    """Seconds, on any clock."""
    stream: int
    kind: Kind
    variant: Variant = "delta"
    type_url: str = ""
    nonce: str = ""
    version: str = ""
    """`version_info`; in a delta response `system_version_info`."""
    names: tuple[str, ...] = ()
    """Of a request: asked for (delta: from now on as well)."""
    removed: tuple[str, ...] = ()
    """Of a request: no longer asked for; of a response: gone."""
    held: Mapping[str, str] = field(default_factory=dict)
    """What a delta client says, in its first request, that it has: versions by name."""
    error: str | None = None
    code: int = 0
    """Of the error."""
    node: str = ""
    """The id of the node, where a request says it."""
    items: tuple[Item, ...] = ()
    by: str = ""
    """Who ended the stream: `client`, `server` or `recorder`. At its beginning: the method called."""


def read_request(payload: bytes, variant: Variant, stream: int, at: float, default_type: str = "") -> Record:
    """Decode what a client sent."""
    kind = "DeltaDiscoveryRequest" if variant == "delta" else "DiscoveryRequest"
    message: Any = message_class(_DISCOVERY + kind)()
    message.ParseFromString(payload)
    delta = variant == "delta"
    return Record(
        at=at,
        stream=stream,
        kind="request",
        variant=variant,
        type_url=message.type_url or default_type,
        nonce=message.response_nonce,
        version="" if delta else message.version_info,
        names=tuple(message.resource_names_subscribe if delta else message.resource_names),
        removed=tuple(message.resource_names_unsubscribe) if delta else (),
        held=dict(message.initial_resource_versions) if delta else {},
        error=message.error_detail.message if message.HasField("error_detail") else None,
        code=message.error_detail.code,
        node=message.node.id,
    )


def read_response(payload: bytes, variant: Variant, stream: int, at: float) -> Record:
    """Decode what a server sent."""
    kind = "DeltaDiscoveryResponse" if variant == "delta" else "DiscoveryResponse"
    message: Any = message_class(_DISCOVERY + kind)()
    message.ParseFromString(payload)
    delta = variant == "delta"
    return Record(
        at=at,
        stream=stream,
        kind="response",
        variant=variant,
        type_url=message.type_url,
        nonce=message.nonce,
        version=message.system_version_info if delta else message.version_info,
        removed=tuple(message.removed_resources) if delta else (),
        items=tuple(_delta_item(each) if delta else _item(each) for each in message.resources),
    )


def _delta_item(resource: Any) -> Item:
    bare = resource.HasField("ttl") and not resource.HasField("resource")
    return _item(
        resource.resource,
        name=resource.name,
        version=resource.version,
        ttl=resource.HasField("ttl"),
        bare=bare,
    )


def _item(packed: Any, *, name: str = "", version: str = "", ttl: bool = False, bare: bool = False) -> Item:
    if packed.type_url == f"{_PREFIX}{_DISCOVERY}Resource":
        # The wrapper with which a state-of-the-world server would send a TTL.
        inner: Any = message_class(_DISCOVERY + "Resource")()
        inner.ParseFromString(packed.value)
        return _item(inner.resource, name=inner.name, version=inner.version, ttl=inner.HasField("ttl"))
    said, refers, warms = ("", frozenset[str](), "") if bare else _look_inside(packed.type_url, packed.value)
    digest = blake2b(packed.value, digest_size=8).hexdigest()
    return Item(name or said, digest, version, packed.type_url, said, ttl, refers, warms)


@cache
def _look_inside(type_url: str, body: bytes) -> tuple[str, frozenset[str], str]:
    """Name, what it refers to, what it waits for."""
    message: Any = message_class(type_url.removeprefix(_PREFIX))()
    message.ParseFromString(body)
    fields = message.DESCRIPTOR.fields_by_name
    name = message.cluster_name if "cluster_name" in fields else message.name if "name" in fields else ""
    if type_url == CLUSTER:
        eds = message.type == fields["type"].enum_type.values_by_name["EDS"].number
        return name, frozenset(), (message.eds_cluster_config.service_name or name) if eds else ""
    if type_url == SCOPE:
        return name, frozenset({message.route_configuration_name}), ""
    if type_url == ROUTE:
        return name, frozenset(_clusters(message)), ""
    if type_url == EXTENSION:
        return name, frozenset(_key_clusters(message.typed_config)), ""
    return name, frozenset(), ""


def _clusters(configuration: Any) -> Iterator[str]:
    for host in configuration.virtual_hosts:
        for route in host.routes:
            if route.route.cluster:
                yield route.route.cluster
            for weighed in route.route.weighted_clusters.clusters:
                yield weighed.name


def _key_clusters(packed: Any) -> Iterator[str]:
    kind = "envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
    if packed.type_url != _PREFIX + kind:
        return
    message: Any = message_class(kind)()
    message.ParseFromString(packed.value)
    provider: Any
    for provider in message.providers.values():
        if provider.HasField("remote_jwks"):
            yield provider.remote_jwks.http_uri.cluster
