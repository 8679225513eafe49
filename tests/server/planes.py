"""Control planes with options, and clients of theirs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc.aio
import httpx

from tests.xds.raw_client import RawClient
from xds_server.protocol import types as t
from xds_server.server import ControlPlane
from xds_server.snapshot import Catalogue, Resource, layer
from xds_server.wire import message_class

C = t.CLUSTER
PATIENCE = 20.0


@asynccontextmanager
async def serving(xds_port: int = 0, **options: Any) -> AsyncIterator[ControlPlane]:
    """Run a control plane, on free ports unless its xDS port is named."""
    plane = ControlPlane(xds_address=f"127.0.0.1:{xds_port}", admin_address="127.0.0.1:0", **options)
    await plane.start()
    try:
        yield plane
    finally:
        await plane.stop(0.5)


def catalogue(
    generation: int, *resources: Resource, gateways: tuple[str, ...] = ("edge",), **options: Any
) -> Catalogue:
    """Make a catalogue in which all gateways have the same."""
    return Catalogue(generation, shared=layer(resources), gateways={name: {} for name in gateways}, **options)


def cluster(name: str, body: str = "", type_url: str = C) -> Resource:
    """Make a resource whose body is its name and something."""
    return Resource.of(type_url, name, f"{name}{body}".encode(), origin=f"{name}.yaml:3")


async def until(condition: Callable[[], Any]) -> Any:
    """Wait until a condition is true, and return what it is."""
    async with asyncio.timeout(PATIENCE):
        while not (found := condition()):
            await asyncio.sleep(0.005)
        return found


async def get(plane: ControlPlane, path: str) -> httpx.Response:
    """Ask the admin HTTP."""
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        return await client.get(f"http://127.0.0.1:{plane.admin_port}{path}")


async def boot(client: RawClient) -> Any:
    """Ask for all clusters, acknowledge the answer and return it."""
    await client.say(C)
    response = await client.hear()
    await client.ack(C)
    return response


def local_channel(port: int) -> grpc.aio.Channel:
    """Open a connection of its own."""
    return grpc.aio.insecure_channel(
        f"127.0.0.1:{port}",
        options=[("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)],
    )


def message(name: str, payload: bytes = b"") -> Any:
    """Make an Envoy message, from bytes if there are any."""
    made: Any = message_class(name)()
    made.ParseFromString(payload)
    return made
