"""A client that stops reading: it costs nobody anything, and reads the last state when it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from tests.xds.conftest import Publish
from tests.xds.load_server import resident
from tests.xds.raw_client import PATIENCE, RawClient, names
from xds_server.protocol import Flight
from xds_server.protocol import types as t
from xds_server.server import ControlPlane
from xds_server.snapshot import Resource

CHANGES = 1_000
CLUSTERS = 32
SIZE = 16 << 10
"""Of each body: all together are many times what HTTP/2 lets a server send to who does not read."""


def cluster(number: int, turn: int) -> Resource:
    return Resource.of(t.CLUSTER, f"c{number}", f"{number} {turn} ".encode().ljust(SIZE, b"."))


def in_flight(plane: ControlPlane, node: str) -> Flight | None:
    for connected in plane.nodes.connections():
        for member in connected.members:
            channel = member.stream.channels.get(t.CLUSTER)
            if connected.node.id == node and channel is not None:
                return channel.flight
    return None


@pytest.mark.parametrize("variant", ["delta", "sotw"])
async def test_N3_N4_a_thousand_changes_past_a_client_that_does_not_read(
    connect: Callable[..., RawClient], publish: Publish, plane: ControlPlane, variant: str
) -> None:
    state = {number: cluster(number, 0) for number in range(CLUSTERS)}
    await publish(*state.values())
    slow, other = connect(variant, node="slow"), connect("delta", node="other")
    await slow.say(t.CLUSTER)
    await other.say(t.CLUSTER)
    assert len(names(await other.hear())) == CLUSTERS
    await other.ack(t.CLUSTER)
    async with asyncio.timeout(PATIENCE):
        while in_flight(plane, "slow") is None:
            await asyncio.sleep(0.01)
    flight = in_flight(plane, "slow")
    before = resident()

    for turn in range(1, CHANGES + 1):
        number = turn % CLUSTERS
        state[number] = cluster(number, turn)
        await publish(*state.values())
        assert names(await other.hear()) == [f"c{number}"]
        await other.ack(t.CLUSTER)

    # To keep only what changed would take 16 MiB, to keep each set 500 MiB.
    assert resident() - before < 12 << 20
    assert in_flight(plane, "slow") is flight
    responses = plane.metrics.responses.labels("Cluster")._value.get
    assert responses() == 1 + 1 + CHANGES

    first = await slow.hear()
    assert len(first.resources) == CLUSTERS
    await slow.ack(t.CLUSTER)
    last = await slow.hear()
    bodies = [(each.resource if variant == "delta" else each).value for each in last.resources]
    assert sorted(bodies) == sorted(resource.body for resource in state.values())
    await slow.ack(t.CLUSTER)
    async with asyncio.timeout(PATIENCE):
        while in_flight(plane, "slow") is not None:
            await asyncio.sleep(0.01)
    assert responses() == 1 + 1 + CHANGES + 1
