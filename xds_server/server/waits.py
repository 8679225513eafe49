"""Envoys say for what their requests wait, in an access log (ALS), and ask for it on a stream of its own.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/accesslog/v3/als.proto
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final, NamedTuple

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError
from google.protobuf.wrappers_pb2 import StringValue

from xds_server.protocol import Node
from xds_server.server.admission import Seats
from xds_server.server.closing import Closing
from xds_server.server.fault import StreamFaultError
from xds_server.server.membership import Membership
from xds_server.server.peer import Peer
from xds_server.server.wire_format import MalformedRequestError, read_node
from xds_server.snapshot import WAITED_ENVIRONMENT, WAITED_PATH, WAITED_REVISIONS, WAITS, WAITS_LOG
from xds_server.wire import message_class

log = structlog.get_logger("fairlead.waits")

SERVICE: Final = "envoy.service.accesslog.v3.AccessLogService"
_MESSAGE: Final = "envoy.service.accesslog.v3.StreamAccessLogsMessage"
_BREATH: Final = 0.02
"""Seconds between two messages of a stream. What more there is to say Envoy drops: it says it again."""
IDLE: Final = 30.0
"""Seconds after which a stream on which nothing is said gives its seat back. Each worker of an Envoy that ever told of
a request has one, and would keep it for ever; it opens another when there is something to tell."""


class Want(NamedTuple):
    """What a request waits for: a backend of one of these revisions."""

    path: str
    environment: str
    revisions: tuple[str, ...]


OnWait = Callable[[str, Want], None]


def is_wait(metadata: Any) -> bool:
    """Say whether a stream of clusters is one on which a client asks for what its requests wait for."""
    return any((key, value) == WAITS for key, value in metadata or ())


class Waits:
    """Serves both. ``on_wait`` is called with the region of a node and what a request there waits for."""

    def __init__(self, membership: Membership, seats: Seats) -> None:
        self.on_wait: OnWait = lambda _region, _want: None
        self._membership = membership
        self._seats = seats
        self._closing = Closing()

    def close(self) -> None:
        """End the open streams."""
        self._closing.close()

    async def hear(self, requests: AsyncIterator[bytes]) -> None:
        """Let a client ask for clusters until it, or ``close``, ends the stream.

        There is no answer: a cluster comes with all the others when it has a backend, which ends the wait, and to be
        told that there is none would end it, too.
        """
        async for _ in self._closing.read(requests):
            pass

    def add_to(self, server: grpc.aio.Server, peer_of: Callable[[Any], Peer | None]) -> None:
        """Register the access log service. No serializers: messages stay bytes."""

        async def serve(requests: AsyncIterator[bytes], context: Any) -> bytes:
            if not self._seats.take():
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, self._seats.words)
            try:
                await self._serve(requests, peer_of(context))
            except StreamFaultError as fault:
                await context.abort(fault.status, fault.words)
            finally:
                self._seats.free()
            return b""

        methods = {"StreamAccessLogs": grpc.stream_unary_rpc_method_handler(serve)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))

    async def _serve(self, requests: AsyncIterator[bytes], peer: Peer | None) -> None:
        node: Node | None = None
        async for payload in self._closing.read(requests, IDLE):
            message = _parse(payload)
            if node is None:
                node = self._meet(message, peer)
            self._membership.require_of(node, peer)
            for want in frozenset(_list_wants(message)):
                self.on_wait(node.region, want)
            await asyncio.sleep(_BREATH)

    def _meet(self, message: Any, peer: Peer | None) -> Node:
        if not message.identifier.node.id or message.identifier.log_name != WAITS_LOG:
            words = f"the first message must carry node.id, and be of the log {WAITS_LOG}"
            raise StreamFaultError(grpc.StatusCode.INVALID_ARGUMENT, words)
        try:
            node = read_node(message.identifier.node)
        except MalformedRequestError as error:
            raise StreamFaultError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        self._membership.require_of(node, peer)
        log.info("node tells of requests that wait", node=node.id, gateway=node.cluster, region=node.region)
        return node


def _parse(payload: bytes) -> Any:
    message: Any = message_class(_MESSAGE)()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        words = f"not a StreamAccessLogsMessage: {error}"
        raise StreamFaultError(grpc.StatusCode.INVALID_ARGUMENT, words) from error
    return message


def _list_wants(message: Any) -> Iterator[Want]:
    for entry in message.http_logs.log_entry:
        tags = entry.common_properties.custom_tags
        # The path of the request itself may have been rewritten by now.
        noted = entry.common_properties.filter_state_objects[WAITED_PATH].value
        try:
            path = StringValue.FromString(noted).value
        except DecodeError:  # whatever a caller put into it: the other entries are good
            continue
        names = path.partition("?")[0].strip("/").split("/")[:3]
        revisions = tuple(filter(None, tags.get(WAITED_REVISIONS, "").split(",")))
        yield Want("/".join(names), tags.get(WAITED_ENVIRONMENT, ""), revisions)
