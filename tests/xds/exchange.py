"""Words for tests that talk to the server message by message."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import count
from typing import Any

import pytest

from tests.xds.raw_client import RawClient
from xds_server.protocol import types as t
from xds_server.protocol.types import short
from xds_server.server import ControlPlane
from xds_server.snapshot import Resource

T, C, E, S, X, L, P, R = t.ORDER
Connect = Callable[..., RawClient]
VARIANTS = pytest.mark.parametrize("variant", ["delta", "sotw"])
PATIENCE = 20.0
NAMED = pytest.mark.parametrize("type_url", [E, R, S, X, T], ids=["EDS", "RDS", "SDS", "ECDS", "RTDS"])
WILDCARDS = pytest.mark.parametrize("type_url", [C, L, P], ids=["CDS", "LDS", "SRDS"])

_probes = count()


def res(type_url: str, name: str, body: str = "", needs: tuple[str, ...] = ()) -> Resource:
    """A resource whose body is its name, or the name and something."""
    return Resource.of(type_url, name, f"{name}{body}".encode(), origin=f"{name}.yaml:3", needs=needs)


async def until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)
        return condition()


async def heard(client: RawClient, *probed: str) -> list[Any]:
    """Return all that is on its way to a client: what comes before the answers to two questions asked now.

    The questions are about a type that the test does not use: nobody's in delta, scopes in state of the world, where
    other unknown names are not answered. Two, lest what the first one woke be made together with its answer.
    """
    (probed_type,) = probed or ("type.googleapis.com/probe" if client.variant == "delta" else P,)
    found = []
    for _ in range(2):
        name = f"probe {next(_probes)}"
        nonce = client.nonces.get(probed_type, "")
        await client.say(probed_type, name, nonce="" if client.variant == "delta" else nonce)
        while (response := await client.hear()).type_url != probed_type:
            found.append(response)
        await client.ack(probed_type, name)
    return found


async def hold(client: RawClient, type_url: str, *names: str) -> Any:
    """Ask for names (none: for everything), take the answer and acknowledge it."""
    nonce = client.nonces.get(type_url, "")
    await client.say(type_url, *names, nonce="" if client.variant == "delta" else nonce)
    response = await client.hear()
    assert response.type_url == type_url
    await client.ack(type_url, *names)
    return response


async def hold_each(client: RawClient, type_url: str, *names: str) -> list[str]:
    """Ask for names that are all there, take and acknowledge the answers (secrets come one by one); their bodies."""
    found = bodies(await hold(client, type_url, *names))
    while len(found) < len(names):
        response = await client.hear()
        assert response.type_url == type_url
        assert type_url in t.ALONE
        await client.ack(type_url, *names)
        found += bodies(response)
    return sorted(found)


def bodies(response: Any) -> list[str]:
    """What is in a response, in either variant."""
    if hasattr(response, "removed_resources"):
        return [resource.resource.value.decode() for resource in response.resources]
    return [resource.value.decode() for resource in response.resources]


def removed(response: Any) -> list[str]:
    """The names that a delta response takes away."""
    return list(response.removed_resources)


def told_of(plane: ControlPlane, type_url: str) -> dict[str, Any]:
    """What the server knows of one type on the only stream."""
    node = plane.nodes.one("node-1")
    return node["streams"][0]["types"].get(short(type_url), {}) if node else {}
