"""Many reconnects, a client that stops reading, and churn: nothing is left behind, nothing grows."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from tests.xds.load_server import resources
from tests.xds.raw_client import DISCOVERY, PATIENCE, RawClient
from xds_server.protocol import types as t
from xds_server.wire import message_class

ROOT = Path(__file__).parents[2]
HELD = 300
"""Resources that every fourth client brings along, for all of which it asks; the others ask for a few."""
AT_ONCE = 16
NODES = 1500
"""More than a server remembers without a stream."""
ROUNDS = 3
OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]


class Server:
    """The server's process: its port, and what it says of itself."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.port: int = self._read()["port"]

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        told: dict[str, Any] = json.loads(self._process.stdout.readline())
        return told

    def measure(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._read()


@contextmanager
def served() -> Iterator[Server]:
    command = [sys.executable, "-m", "tests.xds.load_server", str(HELD)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            yield Server(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(PATIENCE)


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS) as channel:
        yield channel


def first_request(*names: str) -> bytes:
    """What a client says that comes back with everything it asks for but the newest; without its node."""
    message: Any = message_class(DISCOVERY + "DeltaDiscoveryRequest")(type_url=t.CLUSTER)
    message.resource_names_subscribe.extend(names)
    held = {each.name: each.version for each in resources(HELD) if not names or each.name in names}
    message.initial_resource_versions.update(held | {"cluster-0": "the one before"})
    return bytes(message.SerializeToString())


FEW = first_request(*(f"cluster-{number}" for number in range(10)))
MANY = first_request()


async def come_and_go(port: int, channel: grpc.aio.Channel, number: int) -> None:
    """Reconnect, take what is new, and go: every second time without a word."""
    client = RawClient(port, node=f"node-{number % NODES}", channel=channel)
    node = client.request("")
    node.node.id, node.node.cluster, client.met = client.node[0], client.node[1], True
    await client.call.write(node.SerializeToString() + (FEW if number % 4 else MANY))
    response = await client.hear()
    assert [resource.name for resource in response.resources] == ["cluster-0"]
    await client.ack(t.CLUSTER)
    if number % 2:
        client.call.cancel()
    else:
        await client.call.done_writing()
        assert await asyncio.wait_for(client.call.read(), PATIENCE) is grpc.aio.EOF


async def reconnect(port: int, numbers: Iterator[int], times: int, *, share: int) -> None:
    """Come and go this often; `share` streams after another use one connection."""

    async def run(turns: int) -> None:
        while turns > 0:
            async with connected(port) as channel:
                for _ in range(min(share, turns)):
                    await come_and_go(port, channel, next(numbers))
            turns -= share

    await asyncio.gather(*(run(times // AT_ONCE) for _ in range(AT_ONCE)))


async def at_rest(server: Server) -> dict[str, Any]:
    """Measure when the server has noticed that all streams ended."""
    async with asyncio.timeout(PATIENCE):
        while (measured := server.measure())["Session"]:
            await asyncio.sleep(0.05)
    return measured


def left_behind(before: dict[str, Any], after: dict[str, Any]) -> dict[str, int]:
    """What there is more of than chance would have it: far less than 8,240 streams leave, at one file, one object or
    one kilobyte each.
    """
    bounds = {"files": 4, "objects": 2_000, "resident": 6 << 20}
    grown = {kind: after[kind] - before[kind] for kind in bounds}
    return {kind: more for kind, more in grown.items() if more > bounds[kind]}


async def test_H11_N9_ten_thousand_reconnects_leave_memory_and_files_flat() -> None:
    """What the allocator took for a busy moment it keeps, once; what streams leave behind comes again each round."""
    numbers = count()
    with served() as server:
        await reconnect(server.port, numbers, 1_600, share=100)
        await reconnect(server.port, numbers, 160, share=1)
        measured = [await at_rest(server)]
        for _ in range(ROUNDS):
            await reconnect(server.port, numbers, 7_440, share=155)
            await reconnect(server.port, numbers, 800, share=1)
            measured.append(await at_rest(server))
            if not left_behind(*measured[-2:]):
                break
    assert next(numbers) >= 10_000
    assert {each[kind] for each in measured for kind in ("Session", "Stream", "Channel")} == {0}
    assert left_behind(*measured[-2:]) == {}
