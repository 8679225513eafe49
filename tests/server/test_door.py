"""What an HTTP port bears: clients that say nothing, half of something, or more than there is room for."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import grpc.aio
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from tests.e2e.certificates import Certificates
from tests.xds.conftest import Publish
from xds_server.server import ControlPlane, door
from xds_server.server.admin import CONNECTIONS, AdminServer
from xds_server.server.port import bind

MOST = 3
GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
SLOW = b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n"
PUT = b"PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n"
PATIENCE = 20.0
"""Of the tests."""


class Port:
    """A port with three seats, and its clients."""

    def __init__(self, number: int, trust: ssl.SSLContext | None) -> None:
        self.number = number
        self.go_on = asyncio.Event()
        self.begun = 0
        """How many requests for `/slow` have come to it."""
        self._trust = trust
        self._clients: list[Client] = []

    async def connect(self, said: bytes = b"", *, tls: bool = True) -> Client:
        trust = self._trust if tls else None
        reader, writer = await asyncio.open_connection("localhost", self.number, ssl=trust)
        client = Client(reader, writer)
        self._clients.append(client)
        client.say(said)
        return client

    async def connect_slow(self) -> Client:
        """A client whose request is being answered: none that waits for one any more."""
        begun, client = self.begun, await self.connect(SLOW)
        await _until(lambda: self.begun > begun)
        return client

    async def close(self) -> None:
        self.go_on.set()
        for each in self._clients:
            await each.close()


class Client:
    """One connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    def say(self, words: bytes) -> None:
        self.writer.write(words)

    async def hear(self) -> bytes:
        """The first line of an answer; nothing when the connection is closed."""
        try:
            return (await asyncio.wait_for(self.reader.readline(), PATIENCE)).strip()
        except (ConnectionError, ssl.SSLError):
            return b""

    async def end(self) -> None:
        """Wait until the connection is closed, whatever is said on it until then."""
        with suppress(ConnectionError):
            await asyncio.wait_for(self.reader.read(), PATIENCE)

    async def close(self) -> None:
        self.writer.transport.abort()


@asynccontextmanager
async def opened(most: int = MOST, folder: Path | None = None) -> AsyncIterator[Port]:
    """A port on which `/` answers when it has the body, `/slow` when it may, and `/large` with more than fits."""

    async def answer(request: Request) -> Response:
        return PlainTextResponse(str(len(await request.body())))

    async def slow(_: Request) -> Response:
        port.begun += 1
        await port.go_on.wait()
        return PlainTextResponse("at last")

    async def large(_: Request) -> Response:
        return Response(bytes(64 * 2**20))

    routes = [Route("/", answer, methods=["GET", "PUT"]), Route("/slow", slow), Route("/large", large)]
    pair, trust = (None, None) if folder is None else _certify(folder)
    listening = bind("localhost:0", "test")
    port = Port(listening.getsockname()[1], trust)
    server = AdminServer(Starlette(routes=routes), listening, pair, most)
    server.start()
    try:
        yield port
    finally:
        await port.close()
        await asyncio.wait_for(server.stop(), PATIENCE)


def _certify(folder: Path) -> tuple[tuple[Path, Path], ssl.SSLContext]:
    made = Certificates.make()
    chain, key = folder / "c.pem", folder / "k.pem"
    chain.write_text(made.chain("localhost"))
    key.write_text(made.key)
    return (chain, key), ssl.create_default_context(cadata=made.authority)


Patience = Callable[[float], None]


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Patience:
    """Say how long the door waits from here on. Short for those it is to cut off, never for those it is to answer."""

    def change(seconds: float) -> None:
        monkeypatch.setattr(door, "PATIENCE", seconds)
        monkeypatch.setattr(door, "HANDSHAKE", seconds)

    return change


@pytest.mark.parametrize("said", [b"", GET[:7], PUT, PUT + b"1234"])
async def test_who_does_not_say_all_of_a_request_is_cut_off(said: bytes, patience: Patience) -> None:
    async with opened() as port:
        patience(0.3)
        assert await (await port.connect(said)).hear() == b""
        patience(3600)
        assert await (await port.connect(PUT + b"123456789")).hear() == b"HTTP/1.1 200 OK"


async def test_who_dribbles_is_cut_off_too(patience: Patience) -> None:
    patience(0.3)
    async with opened() as port:
        client = await port.connect()
        heard = asyncio.create_task(client.hear())
        for byte in PUT * 2:
            if heard.done():
                break
            client.say(bytes([byte]))
            await asyncio.sleep(0.02)
        assert await heard == b""


@pytest.mark.parametrize("said", [b"", GET[:7]])
async def test_who_says_nothing_more_after_an_answer_is_cut_off(said: bytes, patience: Patience) -> None:
    async with opened() as port:
        patience(3600)
        client = await port.connect_slow()
        patience(0.3)
        port.go_on.set()
        assert await client.hear() == b"HTTP/1.1 200 OK"
        client.say(said)
        await client.end()


async def test_who_does_not_take_the_answer_is_cut_off(patience: Patience) -> None:
    async with opened(most=1) as port:
        patience(0.3)
        client = await port.connect(b"GET /large HTTP/1.1\r\nhost: x\r\n\r\n")
        client.reader._transport.pause_reading()  # type: ignore[attr-defined]
        await _until_served(port)


async def _is_served(port: Port) -> bool:
    return await (await port.connect(GET)).hear() == b"HTTP/1.1 200 OK"


async def _until_served(port: Port) -> None:
    async with asyncio.timeout(PATIENCE):
        while not await _is_served(port):
            await asyncio.sleep(0.05)


async def _until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():
            await asyncio.sleep(0.005)


async def test_a_connection_is_used_again() -> None:
    async with opened() as port:
        client = await port.connect()
        for _ in range(3):
            client.say(GET)
            assert await client.hear() == b"HTTP/1.1 200 OK"
            await client.reader.readuntil(b"\r\n\r\n")
            assert await client.reader.readexactly(1) == b"0"


@pytest.mark.parametrize("said", [b"", GET[:7]])
async def test_who_waited_longest_without_a_request_makes_room(said: bytes) -> None:
    async with opened() as port:
        silent = [await port.connect(said) for _ in range(MOST)]
        busy = await port.connect_slow()
        assert await silent[0].hear() == b""
        assert await (await port.connect(GET)).hear() == b"HTTP/1.1 200 OK"
        assert await silent[1].hear() == b""
        port.go_on.set()
        assert await busy.hear() == b"HTTP/1.1 200 OK"


async def test_when_all_are_being_answered_one_more_is_to_come_again() -> None:
    async with opened() as port:
        busy = [await port.connect_slow() for _ in range(MOST)]
        more = await port.connect()
        assert await more.hear() == b"HTTP/1.1 503 Service Unavailable"
        told = await asyncio.wait_for(more.reader.read(), PATIENCE)
        assert b"retry-after: 1\r\n" in told
        assert b"TOO_MANY_CONNECTIONS" in told
        port.go_on.set()
        for each in busy:
            assert await each.hear() == b"HTTP/1.1 200 OK"
        assert await _is_served(port)


async def test_a_seat_is_free_again_when_its_client_leaves() -> None:
    async with opened() as port:
        for _ in range(3 * MOST):
            client = await port.connect_slow()
            await client.close()
            await _until_served(port)


async def test_files_are_no_more_than_seats(patience: Patience) -> None:
    patience(3600)
    async with opened(most=10) as port:
        before = _count_files()
        for _ in range(100):
            await port.connect()
        assert await _is_served(port)
        # Ours, the client's, are among them: what was cut off is closed on one side only.
        await _until(lambda: _count_files() - before <= 101 + 10)


def _count_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_a_handshake_that_does_not_come_makes_room_and_has_an_end(
    tmp_path: Path, patience: Patience
) -> None:
    async with opened(folder=tmp_path) as port:
        patience(3600)
        silent = [await port.connect(tls=False) for _ in range(2 * MOST)]
        assert await silent[0].hear() == b""
        assert await (await port.connect(GET)).hear() == b"HTTP/1.1 200 OK"
    async with opened(folder=tmp_path) as port:
        patience(0.3)
        assert await (await port.connect(tls=False)).hear() == b""
        patience(3600)
        assert await (await port.connect(GET, tls=False)).hear() == b""
        assert await (await port.connect(GET)).hear() == b"HTTP/1.1 200 OK"


async def test_a_port_stops_with_all_that_is_open(tmp_path: Path) -> None:
    for folder in (None, tmp_path):
        async with opened(folder=folder) as port:
            for said in (b"", GET[:7]):
                await port.connect(said)
            await port.connect(tls=False)


async def test_a_crowd_at_the_admin_port_does_not_touch_the_others(
    plane: ControlPlane, publish: Publish, patience: Patience
) -> None:
    patience(3600)
    await publish()
    crowd = [await asyncio.open_connection("127.0.0.1", plane.admin_port) for _ in range(2 * CONNECTIONS)]
    _, writer = await asyncio.open_connection("127.0.0.1", plane.admin_port)
    writer.close()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{plane.xds_port}") as channel:
        checked = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    assert checked.status == health_pb2.HealthCheckResponse.SERVING
    readers = [reader for reader, _ in crowd]
    await _until(lambda: sum(_has_ended(each) for each in readers) >= CONNECTIONS)
    for _, each in crowd:
        each.transport.abort()


def _has_ended(reader: asyncio.StreamReader) -> bool:
    return reader.at_eof() or reader.exception() is not None
