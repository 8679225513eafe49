"""Stands between xDS clients and a server, passes every message on as it is, and keeps a record of each.

    async with Recorder(server_port) as recorder:
        ...  # clients connect to recorder.port
        recorder.trace

All discovery services are passed on, aggregated and per type, in both variants: whatever is called
`/<service>/Stream…` or `/<service>/Delta…`. On the way it can be a bad network (`cut`, `silent`) or a slow client
(`ack_delay`, `hold_acks`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import Any, Self

import grpc
import grpc.aio

from tests.xds.record import Record, Variant, read_request, read_response
from xds_server.protocol import types as t

_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
    ("grpc.use_local_subchannel_pool", 1),
    # As the server itself: clients that ask often whether it is still there are no offence.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.http2.max_pings_without_data", 0),
    # A server that comes back is found at once, however long it was away.
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 50),
)
_AWAY = "the control plane is away"
_TYPES = {
    "envoy.service.runtime.v3.RuntimeDiscoveryService": t.RUNTIME,
    "envoy.service.cluster.v3.ClusterDiscoveryService": t.CLUSTER,
    "envoy.service.endpoint.v3.EndpointDiscoveryService": t.ENDPOINT,
    "envoy.service.secret.v3.SecretDiscoveryService": t.SECRET,
    "envoy.service.extension.v3.ExtensionConfigDiscoveryService": t.EXTENSION,
    "envoy.service.listener.v3.ListenerDiscoveryService": t.LISTENER,
    "envoy.service.route.v3.ScopedRoutesDiscoveryService": t.SCOPE,
    "envoy.service.route.v3.RouteDiscoveryService": t.ROUTE,
}
"""What a request without a type is about, by service."""


class _Stream:
    """One stream, from its first message to its end."""

    def __init__(self, number: int, method: str, variant: Variant, default_type: str) -> None:
        self.number = number
        self.method = method
        self.variant = variant
        self.default_type = default_type
        self.cut = asyncio.Event()
        self.writing = asyncio.Lock()
        """Held while a message is on its way to the client: gRPC does not end a call whose write was given up."""
        self.left = False
        """The client has nothing more to say."""


class Recorder:
    """Listens on `port` (any free one unless named) and calls the server on `target`, both on loopback."""

    def __init__(self, target: int, port: int = 0) -> None:
        self.port = port
        self.trace: list[Record] = []
        """All records, oldest first; only ever added to."""
        self.ack_delay = 0.0
        """Seconds that each answer to a response takes longer, and all behind it on its stream."""
        self.on_record: Callable[[Record], None] | None = None
        """Is told of each record as it is made, in the recorder's loop."""
        self._target = target
        self._streams: set[_Stream] = set()
        self._numbers = 0
        self._speaking = asyncio.Event()
        self._speaking.set()
        self._answering = asyncio.Event()
        self._answering.set()

    async def __aenter__(self) -> Self:
        self._channel = grpc.aio.insecure_channel(f"127.0.0.1:{self._target}", options=_OPTIONS)
        self._server = grpc.aio.server(options=_OPTIONS)
        self._server.add_generic_rpc_handlers((_Everything(self._pass_on),))
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        await self._server.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._server.stop(0)
        await self._channel.close()

    @property
    def open_streams(self) -> int:
        """How many there are now."""
        return len(self._streams)

    def cut(self) -> int:
        """End all open streams, as a network does; returns how many there were."""
        for stream in self._streams:
            stream.cut.set()
        return len(self._streams)

    def silent(self, on: bool = True) -> None:
        """Hold back, or let go, everything in both directions; connections stay."""
        (self._speaking.clear if on else self._speaking.set)()

    def hold_acks(self, on: bool = True) -> None:
        """Hold back, or let go, the clients' answers to responses, and what is behind them on their streams."""
        (self._answering.clear if on else self._answering.set)()

    def _note(self, record: Record) -> None:
        self.trace.append(record)
        if self.on_record is not None:
            self.on_record(record)

    async def _pass_on(self, method: str, context: Any) -> None:
        service, _, call = method.strip("/").partition("/")
        variant: Variant = "delta" if call.startswith("Delta") else "sotw"
        self._numbers += 1
        stream = _Stream(self._numbers, method, variant, _TYPES.get(service, ""))
        self._streams.add(stream)
        self._note(
            Record(at=monotonic(), stream=stream.number, kind="open", variant=variant, by=method.strip("/"))
        )
        onward = self._channel.stream_stream(method)()
        work = (self._up(stream, context, onward), self._down(stream, context, onward), stream.cut.wait())
        parts = [asyncio.create_task(each) for each in work]
        by = "client"
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            if not stream.left:
                by = "recorder" if stream.cut.is_set() else "server"
            await stream.writing.acquire()
        finally:
            self._streams.discard(stream)
            self._note(Record(at=monotonic(), stream=stream.number, kind="end", variant=variant, by=by))
            for task in parts:
                task.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            status = await self._status(onward) if by == "server" else None
            onward.cancel()
        if status is not None:
            await context.abort(*status)
        elif by == "recorder":
            await context.abort(grpc.StatusCode.UNAVAILABLE, "cut")

    async def _status(self, onward: Any) -> tuple[grpc.StatusCode, str] | None:
        """How the server ended the stream; `None` if it was well."""
        code = await onward.code()
        return None if code is grpc.StatusCode.OK else (code, await onward.details() or _AWAY)

    async def _up(self, stream: _Stream, context: Any, onward: Any) -> None:
        """Requests, until the client has no more and the server has ended the stream."""
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.UsageError):
            while (message := await context.read()) is not grpc.aio.EOF:
                record = read_request(
                    message, stream.variant, stream.number, monotonic(), stream.default_type
                )
                if record.nonce:
                    await self._answering.wait()
                    if self.ack_delay:
                        await asyncio.sleep(self.ack_delay)
                await self._speaking.wait()
                # On record when the server gets it, which is what the server has to go by.
                self._note(record)
                await onward.write(message)
            stream.left = True
            await onward.done_writing()
        await onward.code()

    async def _down(self, stream: _Stream, context: Any, onward: Any) -> None:
        """Responses, until the server has no more."""
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.UsageError):
            while (message := await onward.read()) is not grpc.aio.EOF:
                await self._speaking.wait()
                self._note(read_response(message, stream.variant, stream.number, monotonic()))
                async with stream.writing:
                    await context.write(message)


class _Everything(grpc.GenericRpcHandler):
    """Answers to every method."""

    def __init__(self, serve: Callable[[str, Any], Awaitable[None]]) -> None:
        self._serve = serve

    def service(self, handler_call_details: Any) -> Any:
        method = handler_call_details.method

        async def serve(_: Any, context: Any) -> None:
            await self._serve(method, context)

        return grpc.stream_stream_rpc_method_handler(serve)
