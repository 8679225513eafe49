"""Between bytes on the wire and the protocol's plain values."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from google.protobuf.json_format import Error as JsonError
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import DecodeError

from xds_server.protocol import Node, Request, Response
from xds_server.snapshot import Resource
from xds_server.wire import descriptor_pool, message_class

_DISCOVERY: Final = "envoy.service.discovery.v3."

# https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/discovery/v3/discovery.proto: (field << 3) | 2
_VERSION: Final = b"\x0a"
_RESOURCES: Final = b"\x12"
_TYPE_URL: Final = b"\x22"
_NONCE: Final = b"\x2a"
_SOTW_CONTROL_PLANE: Final = b"\x32"
_DELTA_REMOVED: Final = b"\x32"
_DELTA_CONTROL_PLANE: Final = b"\x3a"
_ONE: Final = b"\x0a"
_TWO: Final = b"\x12"
_THREE: Final = b"\x1a"

_SHARED_ANSWERS: Final = 16
"""Encoded resource lists kept for other streams that are sent the same."""


class MalformedRequestError(Exception):
    """The bytes are no request."""


def decode_sotw(payload: bytes) -> Request:
    """Read a `DiscoveryRequest`. Raises `MalformedRequestError`."""
    message = _parse("DiscoveryRequest", payload)
    return Request(
        type_url=message.type_url,
        nonce=message.response_nonce,
        error=message.error_detail.message if message.HasField("error_detail") else None,
        names=tuple(message.resource_names),
        version=message.version_info,
        node=read_node(message.node) if message.HasField("node") else None,
    )


def decode_delta(payload: bytes) -> Request:
    """Read a `DeltaDiscoveryRequest`. Raises `MalformedRequestError`."""
    message = _parse("DeltaDiscoveryRequest", payload)
    return Request(
        type_url=message.type_url,
        nonce=message.response_nonce,
        error=message.error_detail.message if message.HasField("error_detail") else None,
        subscribe=tuple(message.resource_names_subscribe),
        unsubscribe=tuple(message.resource_names_unsubscribe),
        initial_versions=dict(message.initial_resource_versions),
        node=read_node(message.node) if message.HasField("node") else None,
    )


def _parse(name: str, payload: bytes) -> Any:
    message: Any = message_class(_DISCOVERY + name)()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        raise MalformedRequestError(f"not a {name}: {error}") from error
    return message


def read_node(node: Any) -> Node:
    """Take what counts out of a `Node` message. Raises `MalformedRequestError`."""
    agent, release = node.user_agent_name, None
    if node.HasField("user_agent_build_version"):
        version = node.user_agent_build_version.version
        agent = f"{agent} {version.major_number}.{version.minor_number}.{version.patch}"
        if node.user_agent_name == "envoy":
            release = (version.major_number, version.minor_number)
    elif node.user_agent_version:
        agent = f"{agent} {node.user_agent_version}"
    return Node(
        id=node.id,
        cluster=node.cluster,
        region=node.locality.region,
        agent=agent.strip(),
        release=release,
        metadata=_plain(node.metadata),
        features=frozenset(node.client_features),
    )


def _plain(metadata: Any) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = MessageToDict(metadata, descriptor_pool=descriptor_pool())
    except (ValueError, JsonError) as error:  # a number that JSON does not have
        raise MalformedRequestError(f"node.metadata cannot be used: {error}") from error
    return plain


class Encoder:
    """Assembles responses by hand around bodies that were encoded once.

    The list of resources of the last few different answers is kept, because many streams are sent the same:
    only the nonce is a stream's own.
    """

    def __init__(self, identifier: str) -> None:
        self._identity = _field(_ONE, identifier.encode())
        """A `ControlPlane` message; Envoy shows it as the stat `control_plane.identifier`."""
        self._shared: OrderedDict[tuple[str, int, int, int], tuple[tuple[Resource, ...], bytes]] = (
            OrderedDict()
        )

    def sotw(self, response: Response) -> bytes:
        """Write a `DiscoveryResponse`."""
        return b"".join(
            (
                _field(_VERSION, response.version.encode()),
                self._resources(response, _any),
                _field(_TYPE_URL, response.type_url.encode()),
                _field(_NONCE, response.nonce.encode()),
                _field(_SOTW_CONTROL_PLANE, self._identity),
            )
        )

    def delta(self, response: Response) -> bytes:
        """Write a `DeltaDiscoveryResponse`."""
        return b"".join(
            (
                _field(_VERSION, response.version.encode()),
                self._resources(response, _versioned),
                _field(_TYPE_URL, response.type_url.encode()),
                _field(_NONCE, response.nonce.encode()),
                *(_field(_DELTA_REMOVED, name.encode()) for name in response.removed),
                _field(_DELTA_CONTROL_PLANE, self._identity),
            )
        )

    def _resources(self, response: Response, write: Callable[[Resource], bytes]) -> bytes:
        resources = response.resources
        if not resources:
            return b""
        key = (write.__name__, len(resources), id(resources[0]), id(resources[-1]))
        known = self._shared.get(key)
        # Equal identities of the ends only make it likely; the comparison is one `is` per resource.
        if known is not None and known[0] == resources:
            self._shared.move_to_end(key)
            return known[1]
        encoded = b"".join([_field(_RESOURCES, write(resource)) for resource in resources])
        self._shared[key] = (resources, encoded)
        if len(self._shared) > _SHARED_ANSWERS:
            self._shared.popitem(last=False)
        return encoded


def _any(resource: Resource) -> bytes:
    return _field(_ONE, resource.type_url.encode()) + _field(_TWO, resource.body)


def _versioned(resource: Resource) -> bytes:
    """Write a `Resource`: version 1, body 2, name 3."""
    return b"".join(
        (
            _field(_ONE, resource.version.encode()),
            _field(_TWO, _any(resource)),
            _field(_THREE, resource.name.encode()),
        )
    )


def _field(tag: bytes, value: bytes) -> bytes:
    """Write a length-delimited field; an empty one too, because an empty message is not an absent one."""
    size = len(value)
    if size < 0x80:
        return b"%b%c%b" % (tag, size, value)
    length = bytearray()
    while size >= 0x80:
        length.append(size & 0x7F | 0x80)
        size >>= 7
    length.append(size)
    return b"%b%b%b" % (tag, bytes(length), value)
