"""One open stream: reads requests, sends what its state machine says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic
from typing import Any, Literal, Protocol
from uuid import uuid4

import grpc
import structlog

from xds_server.protocol import (
    Companies,
    DeltaStream,
    Estates,
    Node,
    Request,
    Response,
    SotwStream,
    Stream,
)
from xds_server.server import first_look
from xds_server.server.answers import report
from xds_server.server.fault import StreamFaultError
from xds_server.server.membership import Membership
from xds_server.server.metrics import Metrics, label
from xds_server.server.nodes import NodeStatus
from xds_server.server.pacing import Pacing, Turn
from xds_server.server.peer import Peer
from xds_server.server.publisher import Publisher
from xds_server.server.wire_format import Encoder, MalformedRequestError, decode_delta, decode_sotw
from xds_server.snapshot import Audience, Catalogue, Dialect, Diff, Identity, Transport, View

log = structlog.get_logger("fairlead.xds")


class Sink(Protocol):
    """The writing half of a stream."""

    async def write(self, message: bytes) -> None:
        """Send one message; returns when there is room for the next."""


@dataclass(frozen=True, slots=True)
class Variant:
    """The parts in which delta and state of the world differ here."""

    name: Literal["delta", "sotw"]
    decode: Callable[[bytes], Request]
    encode: Callable[[Encoder, Response], bytes]
    stream: type[DeltaStream | SotwStream]


DELTA = Variant("delta", decode_delta, Encoder.delta, DeltaStream)
SOTW = Variant("sotw", decode_sotw, Encoder.sotw, SotwStream)


@dataclass(frozen=True, slots=True)
class Services:
    """What all sessions share."""

    publisher: Publisher
    nodes: NodeStatus
    metrics: Metrics
    encoder: Encoder
    make_stream: Callable[[type[DeltaStream | SotwStream], str], Stream[Any]]
    pacing: Pacing
    membership: Membership
    companies: Companies = field(default_factory=Companies)
    estates: Estates = field(default_factory=Estates)


class Session:
    """One stream from its first request to its end. All that is kept of it is what it may have left behind."""

    def __init__(
        self, variant: Variant, services: Services, default_type: str = "", peer: Peer | None = None
    ) -> None:
        self.variant = variant.name
        self.stream = services.make_stream(variant.stream, f"{uuid4().hex[:8]}-")
        self.node: Node | None = None
        self._variant = variant
        self._services = services
        self._default_type = default_type
        self._audience: Audience | None = None
        self._wake = asyncio.Event()
        self.stream.wake = self._wake.set
        self._closing = False
        self._peer = peer
        """`None`: clients are not asked who they are."""
        self._fault: StreamFaultError | None = None
        self._turn = Turn(services.pacing, self._wake.set)

    @property
    def gateway(self) -> str:
        """As `Member.gateway`."""
        return self._audience.gateway if self._audience is not None else ""

    def show(self, view: View, change: Diff | None) -> None:
        """Take a view from the publisher, unless the client may not have it: that ends the stream."""
        try:
            if self._audience is not None:
                self._require(self._audience)
        except StreamFaultError as fault:
            self._fault = fault
            self._wake.set()
            return
        self._count_joined(change)
        self.stream.on_view(view, change)
        if change is None or change:
            self._wake.set()

    def _require(self, audience: Audience) -> None:
        stays = self._audience is not None and self._audience.gateway == audience.gateway
        member = stays and self.stream.view is not None
        self._services.membership.require(audience.gateway, self._peer, member=member)

    def _count_joined(self, change: Diff | None) -> None:
        """Count changes that join others still waiting to be sent: one response will tell of all."""
        for type_url in change.types() if change is not None else ():
            channel = self.stream.channels.get(type_url)
            if channel is not None and channel.dirty:
                self._services.metrics.coalesced.labels(label(type_url)).inc()

    def close(self) -> None:
        """End the stream soon, as if it were complete."""
        self._closing = True
        self._wake.set()

    async def run(self, requests: AsyncIterator[bytes], sink: Sink) -> None:
        """Serve until the client or `close` ends it. Raises `StreamFaultError`."""
        reading = asyncio.create_task(self._read(requests))
        reading.add_done_callback(lambda _: self._wake.set())
        try:
            while not (reading.done() or self._closing or self._fault):
                if self.stream.view is not None:
                    await self._send_due(sink)
                await self._sleep()
            if self._fault is not None:
                raise self._fault
            if reading.done():
                reading.result()
        finally:
            reading.cancel()
            self._turn.end()
            self._leave()

    async def _send_due(self, sink: Sink) -> None:
        await first_look.encode(self.stream)
        while self._turn.has_come() and not (self._closing or self._fault):
            # Requests that are there already are read before each response is made, so that it heeds them.
            await asyncio.sleep(0)
            response = self.stream.next(monotonic())
            if response is None:
                if self.stream.in_step:
                    self._turn.end()
                break
            await self._send(response, sink)

    async def _sleep(self) -> None:
        """Wait until there may be something to send."""
        deadline = None if self._turn.waiting else self.stream.deadline
        timer = None
        if deadline is not None:
            delay = max(0.0, deadline - monotonic())
            timer = asyncio.get_running_loop().call_later(delay, self._wake.set)
        await self._wake.wait()
        self._wake.clear()
        if timer is not None:
            timer.cancel()

    async def _send(self, response: Response, sink: Sink) -> None:
        message = self._variant.encode(self._services.encoder, response)
        metrics, kind = self._services.metrics, label(response.type_url)
        metrics.responses.labels(kind).inc()
        metrics.resources_sent.labels(kind).inc(len(response.resources))
        metrics.bytes_sent.labels(kind).inc(len(message))
        await sink.write(message)

    async def _read(self, requests: AsyncIterator[bytes]) -> None:
        async for message in requests:
            request = self._decode(message)
            if request.node is not None or self.node is None:
                await self._meet(request.node)
            self._services.metrics.requests.labels(label(request.type_url)).inc()
            if request.type_url not in self.stream.channels:
                self._turn.open(monotonic())
            event = self.stream.on_request(request, monotonic())
            if event is not None:
                report(event, self.node.id if self.node is not None else "", self._services.metrics)
            self._wake.set()

    def _decode(self, message: bytes) -> Request:
        try:
            request = self._variant.decode(message)
        except MalformedRequestError as error:
            raise StreamFaultError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        if not request.type_url and self._default_type:
            return _typed(request, self._default_type)
        if not request.type_url:
            raise StreamFaultError(grpc.StatusCode.INVALID_ARGUMENT, "a request must name its type_url")
        if self._default_type and request.type_url != self._default_type:
            words = f"this service has {self._default_type} only"
            raise StreamFaultError(grpc.StatusCode.INVALID_ARGUMENT, words)
        return request

    async def _meet(self, node: Node | None) -> None:
        """Take the node of a request: the first must have one; it stays the same, its place may change."""
        if node is None or not node.id:
            raise StreamFaultError(grpc.StatusCode.INVALID_ARGUMENT, "the first request must carry node.id")
        if self.node is not None and node.id != self.node.id:
            raise StreamFaultError(grpc.StatusCode.INVALID_ARGUMENT, "node.id changed within a stream")
        audience = self._audience
        if audience is None or node != self.node:  # who says the same again stays where the publisher has it
            audience = self._audience_of(node, self._services.publisher.catalogue)
        self._require(audience)
        known, self.node = self.node, node
        if node != known:
            self._services.nodes.join(node, self)
        if known is None:
            self._meet_others(node)
            log.info("node connected", variant=self.variant, **_words(node))
        if audience != self._audience:
            await self._attach(audience, node)

    def _meet_others(self, node: Node) -> None:
        """Keep order with the node's other streams, and take on what its last one left."""
        self.stream.inherit = partial(self._services.estates.claim, self._who(node))
        self._services.estates.enter(self._who(node), self.stream)
        if self._default_type:
            self.stream.join(self._services.companies.of(self._who(node)))

    def _who(self, node: Node) -> str:
        """Name a node by its id and certificate: whoever claims the id of another's shares nothing with it."""
        return node.id if self._peer is None else f"{node.id} ({self._peer})"

    def audience_in(self, catalogue: Catalogue) -> Audience:
        """As `Reader.audience_in`."""
        assert self.node is not None, "only who is known is shown anything"
        return self._audience_of(self.node, catalogue)

    def move(self, audience: Audience) -> None:
        """As `Reader.move`: the catalogue makes the node a member of another gateway."""
        assert self.node is not None, "only who is known is shown anything"
        self._audience = audience
        log.info("node moved", to=audience.gateway, **_words(self.node))
        catalogue = self._services.publisher.catalogue
        if catalogue is not None and audience.gateway not in catalogue.gateways:
            self._warn_of_no_gateway(self.node)

    def _audience_of(self, node: Node, catalogue: Catalogue | None) -> Audience:
        identity = Identity(node.id, node.cluster, node.region, node.metadata)
        gateway = catalogue.gateway_of(identity) if catalogue is not None else node.cluster
        transport: Transport = self._variant.name if self._default_type else "ads"
        incremental = transport == "ads" and self._variant.name == "delta"
        return Audience(gateway, node.region, Dialect(transport, node.release, incremental))

    async def _attach(self, audience: Audience, node: Node) -> None:
        publisher = self._services.publisher
        if self._audience is not None:
            publisher.detach(self, self._audience)
        self._audience = audience
        known = await publisher.attach(self, audience)
        if not known and publisher.catalogue is not None:
            self._warn_of_no_gateway(node)

    def _warn_of_no_gateway(self, node: Node) -> None:
        log.warning(
            "node names a gateway that is not declared, or cannot be made; nothing is sent to it",
            known_gateways=list(self._services.publisher.gateways()),
            **_words(node),
        )

    def _leave(self) -> None:
        self.stream.leave()
        if self.node is not None:
            self._services.estates.end(self._who(self.node), self.stream)
            self._services.nodes.leave(self.node, self)
            log.info("node disconnected", variant=self.variant, **_words(self.node))
        if self._audience is not None:
            self._services.publisher.detach(self, self._audience)


def _typed(request: Request, type_url: str) -> Request:
    return replace(request, type_url=type_url)


def _words(node: Node) -> dict[str, str]:
    return {"node": node.id, "gateway": node.cluster, "region": node.region, "agent": node.agent}
