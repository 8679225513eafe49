"""Upstreams: the models behind the gateway, which note every request byte for byte.

One thread runs all of them. What a request asks for is in its path, so that a test needs no back channel:

    /status/503    that status, with headers and a body of its own
    /stream        server-sent events, one for each `feed`
    /socket        a WebSocket that sends back what it gets
    /silence       nothing, for ever
    /reset         the connection is reset once the request is in
    /only/one/...  what is behind, if the upstream's label is `one`; for others anything else
    anything else  200 and what was seen, as JSON
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import threading
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self, TypeVar

from websockets.frames import Frame, Opcode
from websockets.http11 import Request as UpgradeRequest
from websockets.server import ServerProtocol

from tests.envoy_process import free_port

Result = TypeVar("Result")
_LARGEST_HEAD = 1 << 20


@dataclass(frozen=True)
class Seen:
    """One request as it came over the wire. Header names are as they came; `digest` is the body's SHA-256."""

    upstream: str
    line: str
    headers: tuple[tuple[str, str], ...]
    length: int
    digest: str

    @property
    def method(self) -> str:
        return self.line.split(" ")[0]

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    def all(self, name: str) -> list[str]:
        """The values of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The one value of a header, or `None`. More than one is a failure."""
        values = self.all(name)
        assert len(values) < 2, (name, values)
        return values[0] if values else None


@dataclass
class Upstream:
    """One server. `label` tells it from the others; `seen` is what it was asked, `busy` how much it answers now."""

    label: str
    world: Upstreams = field(repr=False)
    port: int = field(default_factory=free_port)
    seen: list[Seen] = field(default_factory=list)
    connections: int = 0
    busy: int = 0
    _server: asyncio.Server | None = field(default=None, repr=False)
    _feed: asyncio.Queue[bytes | None] = field(default_factory=asyncio.Queue, repr=False)
    _tls: SSLContext | None = field(default=None, repr=False)
    _writers: set[asyncio.StreamWriter] = field(default_factory=set, repr=False)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def feed(self, chunk: bytes | None) -> None:
        """Let the stream being answered send a chunk; `None` ends it."""
        self.world.call(self._feed.put(chunk))

    def close(self) -> None:
        """Refuse connections from now on, and reset the open ones."""
        self.world.call(self._close())

    def open(self) -> None:
        """Listen again, on the same port. It is none that outgoing connections take, so it is still free."""
        self.world.call(self._open())

    async def _open(self) -> None:
        listening = socket.create_server(("127.0.0.1", self.port))
        self._server = await asyncio.start_server(
            self._serve, sock=listening, ssl=self._tls, limit=_LARGEST_HEAD
        )

    async def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._writers.add(writer)
        try:
            # Without it every answer waits 40 ms for a delayed acknowledgement.
            writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while await self._answer(reader, writer):
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the gateway hung up, or the test is over
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One exchange; returns whether the connection can carry another."""
        head = await reader.readuntil(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")[:-2]
        headers = tuple(
            (name, value.strip()) for name, _, value in (line.partition(":") for line in lines[1:])
        )
        body = await _body(reader, {name.lower(): value for name, value in headers})
        seen = Seen(self.label, lines[0], headers, len(body), sha256(body).hexdigest())
        self.seen.append(seen)
        self.busy += 1
        try:
            return await self._do(seen, head, reader, writer)
        finally:
            self.busy -= 1

    async def _do(
        self, seen: Seen, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        path = seen.target.partition("?")[0]
        if path.startswith("/only/"):
            _, _, label, rest = path.split("/", 3)
            path = f"/{rest}" if label == self.label else "/"
        if path.startswith("/status/"):
            _write(writer, int(path.split("/")[2]), b'{"error":{"code":"OWN","origin":"model"}}', _OWN)
        elif path == "/stream":
            await self._stream(reader, writer)
        elif path == "/socket":
            return await _echo_frames(head, reader, writer)
        elif path == "/silence":
            await _departure(reader)
        elif path == "/reset":
            _reset(writer)
            return False
        elif seen.method == "HEAD":
            _write(writer, 200, b"", (("content-length", "7"), ("x-seen", seen.target)))
        else:
            _write(writer, 200, _tell(seen), (("content-type", "application/json"),))
        return True

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        gone = asyncio.ensure_future(_departure(reader))
        try:
            while (chunk := await _unless(gone, self._feed.get())) is not None:
                writer.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
                await writer.drain()
        finally:
            gone.cancel()
        writer.write(b"0\r\n\r\n")


async def _departure(reader: asyncio.StreamReader) -> None:
    """Wait until the gateway hangs up. It sends nothing before an answer is complete."""
    await reader.read(1)
    raise ConnectionResetError


async def _unless(event: asyncio.Future[None], work: Coroutine[Any, Any, Result]) -> Result:
    """The result of the work, unless the event fails first."""
    working: asyncio.Future[Any] = asyncio.ensure_future(work)
    await asyncio.wait([event, working], return_when=asyncio.FIRST_COMPLETED)
    if event.done():
        working.cancel()
        event.result()
    done: Result = await working
    return done


# Headers and body of an upstream's own errors: what must come through untouched, and one that must not.
_OWN = (
    ("content-type", "application/problem+json"),
    ("x-model-says", "no"),
    ("retry-after", "77"),
    ("x-fairlead-error", "FORBIDDEN"),
    ("x-fairlead-served-by", "forged"),
    ("X-Fairlead-Served-By", "10.0.0.1"),
)


def _tell(seen: Seen) -> bytes:
    plain = {"upstream": seen.upstream, "line": seen.line, "length": seen.length, "digest": seen.digest}
    return json.dumps({**plain, "headers": seen.headers}).encode()


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        parts = []
        while size := int(await reader.readline(), 16):
            parts.append(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readexactly(2)
        return b"".join(parts)
    return await reader.readexactly(int(headers.get("content-length", "0")))


def _write(
    writer: asyncio.StreamWriter, status: int, body: bytes, headers: tuple[tuple[str, str], ...]
) -> None:
    lines = [f"HTTP/1.1 {status} Own-Words", *(f"{name}: {value}" for name, value in headers)]
    if status not in (204, 304) and not any(name == "content-length" for name, _ in headers):
        lines.append(f"content-length: {len(body)}")
    carried = b"" if status in (204, 304) else body
    writer.write("\r\n".join([*lines, "", ""]).encode() + carried)


async def _echo_frames(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    protocol = ServerProtocol()
    protocol.receive_data(head)
    for event in protocol.events_received():
        if isinstance(event, UpgradeRequest):
            protocol.send_response(protocol.accept(event))
        elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
            protocol.send_text(event.data)
    while True:
        for data in protocol.data_to_send():
            if not data:
                return False
            writer.write(data)
        received = await reader.read(65536)
        if not received:
            return False
        protocol.receive_data(received)
        for event in protocol.events_received():
            if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                protocol.send_text(event.data)
            elif isinstance(event, Frame) and event.opcode is Opcode.BINARY:
                protocol.send_binary(event.data)


def _reset(writer: asyncio.StreamWriter) -> None:
    # Lingering for zero seconds makes the close a reset.
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


class Tally(asyncio.Protocol):
    """A server that only counts, as fast as it can: for statistics over many requests."""

    _ANSWER = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"

    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *heads, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for _ in heads:
            self._upstream.connections += 1
            self._transport.write(self._ANSWER)


class Upstreams:
    """All the servers of a test run, by label. A context manager."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="upstreams", daemon=True)
        self._known: dict[str, Upstream] = {}
        self._dead: list[socket.socket] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        for each in self._dead:
            each.close()

    def __getitem__(self, label: str) -> Upstream:
        return self._known[label]

    def __contains__(self, label: str) -> bool:
        return label in self._known

    def serve(self, label: str, tls: SSLContext | None = None) -> Upstream:
        """A new upstream, on a free port."""
        upstream = Upstream(label, self, _tls=tls)
        self.call(upstream._open())
        self._known[label] = upstream
        return upstream

    def tally(self, label: str) -> Upstream:
        """A new upstream that only counts: its `connections` are requests."""
        upstream = Upstream(label, self)

        async def listen() -> None:
            listening = socket.create_server(("127.0.0.1", upstream.port))
            upstream._server = await self._loop.create_server(lambda: Tally(upstream), sock=listening)

        self.call(listen())
        self._known[label] = upstream
        return upstream

    def dead(self) -> str:
        """An address at which nobody listens, and nobody will: its port stays taken."""
        taken = socket.socket()
        taken.bind(("127.0.0.1", 0))
        self._dead.append(taken)
        return f"127.0.0.1:{taken.getsockname()[1]}"

    @contextmanager
    def watch(self) -> Iterator[list[Seen]]:
        """What all of them are asked meanwhile; complete when the block is left."""
        before = {label: len(each.seen) for label, each in self._known.items()}
        found: list[Seen] = []
        yield found
        for label, each in self._known.items():
            found += each.seen[before.get(label, 0) :]

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run a coroutine where the servers run."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    async def _end(self) -> None:
        for each in self._known.values():
            await each._close()
        others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
