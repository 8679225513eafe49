"""A driver of xDS clients: thousands of delta streams over ADS, each with a connection of its own, in one process.

Each client asks for all clusters and, as Envoy does, for the endpoints of each, and acknowledges whatever it is sent;
it is in step when it has acknowledged endpoints. One whose stream ends comes back, and is out of step until it has been
sent everything anew. Lines on standard input say what to do, and each is answered by one line of JSON. Times are those
of `time.monotonic`, which all processes of a machine share.

    connect N    N more clients; {"began", "last"}: when the first set out, when the last was in step
    change       {"watching": true} at once, and, when every client acknowledged endpoints once more, {"times"}: when
                 each did
    storm N      N clients vanish and come back at once with nothing; {"began", "last"}
    probe NAME   asks for that route configuration, at once and again until it is answered; {"at"}

Run: python -m bench.xds_clients PORT
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import grpc
import grpc.aio

from xds_server.protocol import types as t
from xds_server.wire import message_class

METHOD = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
OPTIONS = (
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 50),
    ("grpc.min_reconnect_backoff_ms", 50),
    ("grpc.max_reconnect_backoff_ms", 50),
)
Request: Any = message_class("envoy.service.discovery.v3.DeltaDiscoveryRequest")
Response: Any = message_class("envoy.service.discovery.v3.DeltaDiscoveryResponse")


_ENDED = (grpc.aio.AioRpcError, asyncio.InvalidStateError)
"""How the end of a stream shows; the second one where it is written to afterwards."""
_PAUSE = 0.05
"""Seconds until a client whose stream has ended comes back, the shortest pause of gRPC's own reconnects here."""
PATIENCE = 240.0
"""Seconds until clients that are not in step are an error; less than those for which the benchmark waits."""


class Client:
    """One xDS client, from its first request to `stop`."""

    def __init__(self, port: int, number: int) -> None:
        self.in_step = asyncio.Event()
        self.changed: asyncio.Future[float] | None = None
        """Is given the time of the next acknowledgement of endpoints."""
        self._port, self._number = port, number
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Vanish."""
        self._task.cancel()
        with suppress(asyncio.CancelledError):
            await self._task

    async def _run(self) -> None:
        while True:
            try:
                await self._follow()
            except _ENDED as error:
                print(f"client {self._number}: {error!r}", file=sys.stderr, flush=True)
            self.in_step.clear()
            await asyncio.sleep(_PAUSE)

    async def _follow(self) -> None:
        """One stream, until it ends."""
        async with grpc.aio.insecure_channel(f"127.0.0.1:{self._port}", OPTIONS) as channel:
            call = channel.stream_stream(METHOD)(wait_for_ready=True)
            await call.write(first_request(t.CLUSTER, self._number))
            async for answer in call:
                response = Response.FromString(answer)
                await call.write(acknowledgement(response))
                if response.type_url == t.CLUSTER:
                    names = [each.name for each in response.resources]
                    gone = list(response.removed_resources)
                    if names or gone:
                        await call.write(subscription(t.ENDPOINT, names, gone))
                elif response.type_url == t.ENDPOINT:
                    self.in_step.set()
                    if self.changed is not None and not self.changed.done():
                        self.changed.set_result(time.monotonic())


def first_request(type_url: str, number: int, names: Iterable[str] = ()) -> bytes:
    """The first request of a stream: of a node of the benchmark's gateway, for everything or for some names."""
    request = Request(type_url=type_url)
    request.node.id, request.node.cluster = f"bench-{number}", "edge"
    request.node.locality.region = "eu-west-3"
    request.resource_names_subscribe.extend(names or ["*"])
    return bytes(request.SerializeToString())


def subscription(type_url: str, names: Iterable[str], gone: Iterable[str] = ()) -> bytes:
    """A request for more names, and for some no longer."""
    request = Request(type_url=type_url)
    request.resource_names_subscribe.extend(names)
    request.resource_names_unsubscribe.extend(gone)
    return bytes(request.SerializeToString())


def acknowledgement(response: Any) -> bytes:
    """The request that accepts a response."""
    request = Request(type_url=response.type_url, response_nonce=response.nonce)
    return bytes(request.SerializeToString())


class Driver:
    """All clients of this process."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._clients: list[Client] = []
        self._made = 0

    async def obey(self, line: str) -> None:
        """Do what a line says, and print what came of it."""
        word, _, rest = line.strip().partition(" ")
        if word == "connect":
            say(await self._connect(int(rest)))
        elif word == "change":
            loop = asyncio.get_running_loop()
            for each in self._clients:
                each.changed = loop.create_future()
            say({"watching": True})
            waiting = [each.changed for each in self._clients if each.changed is not None]
            async with asyncio.timeout(PATIENCE):
                say({"times": await asyncio.gather(*waiting)})
        elif word == "storm":
            leaving, self._clients = self._clients[: int(rest)], self._clients[int(rest) :]
            await asyncio.gather(*(each.stop() for each in leaving))
            say(await self._connect(len(leaving)))
        elif word == "probe":
            say({"at": await self._probe(rest)})
        else:
            raise SystemExit(f"no such command: {word}")

    async def _connect(self, count: int) -> dict[str, float]:
        began = time.monotonic()
        fresh = [Client(self._port, self._made + number) for number in range(count)]
        self._made += count
        self._clients += fresh
        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(each.in_step.wait() for each in fresh))
        return {"began": began, "last": time.monotonic()}

    async def _probe(self, name: str) -> float:
        while True:
            try:
                async with grpc.aio.insecure_channel(f"127.0.0.1:{self._port}", OPTIONS) as channel:
                    call = channel.stream_stream(METHOD)()
                    await call.write(first_request(t.ROUTE, 0, [name]))
                    async for answer in call:
                        if any(each.name == name for each in Response.FromString(answer).resources):
                            return time.monotonic()
            except grpc.aio.AioRpcError:
                await asyncio.sleep(0.01)


def say(document: dict[str, Any]) -> None:
    """Print a line of JSON."""
    print(json.dumps(document), flush=True)


async def main() -> None:
    driver = Driver(int(sys.argv[1]))
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    say({"ready": True})
    while line := await reader.readline():
        await driver.obey(line.decode())


if __name__ == "__main__":
    asyncio.run(main())
