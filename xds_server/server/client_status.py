"""CSDS: who asks is told what each client was sent, took and refused.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/status/v3/csds.proto
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic, time
from typing import Any, Final

import grpc
import grpc.aio
from google.protobuf.json_format import ParseDict
from google.protobuf.message import DecodeError

from xds_server.protocol import Channel, Node, Standing, State
from xds_server.protocol.types import SECRET
from xds_server.server.admission import Seats
from xds_server.server.closing import Closing
from xds_server.server.membership import Membership
from xds_server.server.node_matcher import UnsupportedMatcherError, match_nodes
from xds_server.server.nodes import Connected, NodeStatus
from xds_server.server.peer import Peer
from xds_server.snapshot import Resource
from xds_server.wire import descriptor_pool, message_class

SERVICE: Final = "envoy.service.status.v3.ClientStatusDiscoveryService"
_V3: Final = "envoy.service.status.v3."

_CONFIG_STATUS: Final = {
    State.REQUESTED: "NOT_SENT",
    State.NOT_SENT: "NOT_SENT",
    State.SENT: "STALE",
    State.ACKED: "SYNCED",
    State.NACKED: "ERROR",
}


class MalformedStatusRequestError(Exception):
    """The bytes are no `ClientStatusRequest`."""


class ClientStatus:
    """Serves the state of the nodes. Bodies of secrets are never shown, other bodies unless told not to.

    A client that was asked for a certificate is told of the members of those gateways that it may join itself.
    """

    def __init__(self, nodes: NodeStatus, seats: Seats, membership: Membership) -> None:
        self._nodes = nodes
        self._seats = seats
        self._membership = membership
        self._peer_of: Callable[[Any], Peer | None] = lambda _: None
        self._closing = Closing()

    def close(self) -> None:
        """End the open streams."""
        self._closing.close()

    def add_to(self, server: grpc.aio.Server, peer_of: Callable[[Any], Peer | None]) -> None:
        """Register the service. No serializers: messages stay bytes."""
        self._peer_of = peer_of
        methods = {
            "StreamClientStatus": grpc.stream_stream_rpc_method_handler(self._stream),
            "FetchClientStatus": grpc.unary_unary_rpc_method_handler(self._fetch),
        }
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))

    async def _fetch(self, payload: bytes, context: Any) -> bytes:
        try:
            return await self.answer(payload, self._peer_of(context))
        except (MalformedStatusRequestError, UnsupportedMatcherError) as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
            raise

    async def _stream(self, requests: AsyncIterator[bytes], context: Any) -> None:
        if not self._seats.take():
            await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, self._seats.words)
        try:
            async for payload in self._closing.read(requests):
                await context.write(await self._fetch(payload, context))
        finally:
            self._seats.free()

    async def answer(self, payload: bytes, peer: Peer | None = None) -> bytes:
        """Answer a `ClientStatusRequest` with a `ClientStatusResponse`, as far as `peer` may know.

        Raises `MalformedStatusRequestError` and `UnsupportedMatcherError`.
        """
        request: Any = message_class(_V3 + "ClientStatusRequest")()
        try:
            request.ParseFromString(payload)
        except DecodeError as error:
            raise MalformedStatusRequestError(f"not a ClientStatusRequest: {error}") from error
        matches = match_nodes(request.node_matchers)
        response: Any = message_class(_V3 + "ClientStatusResponse")()
        for connected in self._nodes.connections():
            members = tuple(each for each in connected.members if self._membership.admits(each.gateway, peer))
            if members and matches(connected.node):
                shown = connected._replace(members=members)
                _describe(response.config.add(), shown, bodies=not request.exclude_resource_contents)
            # A large fleet takes a while to look through; streams go on in between.
            await asyncio.sleep(0)
        encoded: bytes = await asyncio.to_thread(response.SerializeToString)
        return encoded


def _describe(config: Any, connected: Connected, *, bodies: bool) -> None:
    _write_node(config.node, connected.node)
    for member in connected.members:
        stream = member.stream
        for type_url, channel in stream.channels.items():
            for standing in stream.standings(type_url):
                _write(config.generic_xds_configs.add(), standing, known=stream.view is not None)
                if bodies and type_url != SECRET:
                    _write_bodies(config.generic_xds_configs[-1], channel, standing)


def _write_node(message: Any, node: Node) -> None:
    message.id, message.cluster, message.locality.region = node.id, node.cluster, node.region
    message.user_agent_name = node.agent
    message.client_features.extend(sorted(node.features))
    ParseDict(dict(node.metadata), message.metadata, descriptor_pool=descriptor_pool())


def _write(config: Any, standing: Standing, *, known: bool) -> None:
    config.type_url, config.name = standing.type_url, standing.name
    config.version_info = standing.accepted or ""
    config.config_status = _enum(config, "config_status", _CONFIG_STATUS[standing.state])
    config.client_status = _enum(config, "client_status", _client_status(standing, known=known))
    updated = standing.accepted_at if standing.accepted_at is not None else standing.sent_at
    if updated is not None:
        config.last_updated.FromMilliseconds(_milliseconds(updated))
    if standing.refused is not None:
        error = config.error_state
        error.version_info, error.details = standing.refused, standing.text
        if standing.refused_at is not None:
            error.last_update_attempt.FromMilliseconds(_milliseconds(standing.refused_at))


def _client_status(standing: Standing, *, known: bool) -> str:
    if standing.state is State.REQUESTED:
        return "DOES_NOT_EXIST" if known else "REQUESTED"
    if standing.state is State.NACKED:
        return "NACKED"
    return "REQUESTED" if standing.accepted is None else "ACKED"


def _write_bodies(config: Any, channel: Channel, standing: Standing) -> None:
    """Attach what was sent last, the refused one included, as far as this server has it."""
    name = standing.name
    refusal, flight, held = channel.refusals.get(name), channel.flight, channel.held.get(name)
    if refusal is not None:
        _pack(config.error_state.failed_configuration, refusal.resource)
    if flight is not None and name in flight.sent:
        _pack(config.xds_config, flight.sent[name])
    elif refusal is not None:
        _pack(config.xds_config, refusal.resource)
    elif held is not None and name not in channel.strange:
        _pack(config.xds_config, held)


def _pack(message: Any, resource: Resource) -> None:
    message.type_url, message.value = resource.type_url, resource.body


def _enum(message: Any, field: str, name: str) -> int:
    number: int = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_name[name].number
    return number


def _milliseconds(at: float) -> int:
    """Turn a time of the streams' clock into one of the calendar."""
    return int((time() - (monotonic() - at)) * 1000)
