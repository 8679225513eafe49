"""How many clients, and how many at once."""

from __future__ import annotations

import asyncio
from time import monotonic

import grpc
import pytest

from tests.server.planes import C, boot, catalogue, cluster, get, local_channel, serving, until
from tests.xds.raw_client import AGGREGATED, RawClient, names
from xds_server.protocol import Timing
from xds_server.protocol.types import RUNTIME
from xds_server.server import ControlPlane, Limits
from xds_server.server.pacing import Turn


async def test_A13_one_stream_too_many_is_refused_and_the_others_go_on() -> None:
    async with serving(limits=Limits(streams=2)) as plane:
        await plane.publish(catalogue(1, cluster("a")))
        first, second = (RawClient(plane.xds_port, node=str(number)) for number in range(2))
        for each in (first, second):
            await boot(each)
        third = RawClient(plane.xds_port, node="2")
        assert await third.status() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "2 streams" in await third.call.details()
        await plane.publish(catalogue(2, cluster("a", "2")))
        for each in (first, second):
            assert names(await each.hear()) == ["a"]
        assert "fairlead_xds_streams_refused_total 1.0" in (await get(plane, "/metrics")).text
        await first.close()
        await until(lambda: plane.nodes.connected() == 1)
        again = RawClient(plane.xds_port, node="again")
        await boot(again)
        for each in (second, third, again):
            await each.close()


class Crowd:
    """Clients on a few connections, and how many of them are in their first exchange."""

    def __init__(self, plane: ControlPlane, size: int, variant: str) -> None:
        self._channels = [local_channel(plane.xds_port) for _ in range(4)]
        self.clients = [
            RawClient(
                plane.xds_port,
                variant,
                node=f"n{number}",
                method=AGGREGATED,
                channel=self._channels[number % 4],
            )
            for number in range(size)
        ]
        self.answered = 0
        self.served = 0
        self.most = 0

    async def boot(self, client: RawClient) -> None:
        await client.say(C)
        assert names(await client.hear())[0].startswith("a")
        self.answered += 1
        # What the server has sent and not seen acknowledged is at least this.
        self.most = max(self.most, self.answered - self.served)
        await asyncio.sleep(0)
        self.served += 1
        await client.ack(C)

    async def close(self) -> None:
        for client in self.clients:
            client.call.cancel()
        for channel in self._channels:
            await channel.close()


@pytest.mark.parametrize("variant", ["delta", "sotw"])
async def test_H13_three_hundred_clients_at_once_are_served_a_few_at_a_time(variant: str) -> None:
    places = 5
    async with serving(limits=Limits(first_exchanges=places, first_exchange_seconds=3600)) as plane:
        await plane.publish(catalogue(1, cluster("a")))
        settled = RawClient(plane.xds_port, variant, node="settled")
        await boot(settled)
        await until(lambda: (plane.nodes.one("settled") or {}).get("synced"))
        # Five that never acknowledge hold all places.
        holders = [RawClient(plane.xds_port, variant, node=f"h{number}") for number in range(places)]
        for each in holders:
            await each.say(C)
            await each.hear()
        crowd = Crowd(plane, 300, variant)
        booting = asyncio.gather(*(crowd.boot(each) for each in crowd.clients))
        await until(lambda: _queued(plane) == 300)
        assert crowd.answered == 0
        assert _active(plane) == places
        # Who is settled is not kept waiting by any of them.
        await plane.publish(catalogue(2, cluster("a", "2")))
        assert names(await settled.hear()) == (["a"] if variant == "delta" else ["a2"])
        await settled.ack(C)
        assert crowd.answered == 0
        for each in holders:
            await each.close()
        await booting
        assert crowd.answered == 300
        assert crowd.most <= places
        await until(lambda: _active(plane) == 0)
        assert _queued(plane) == 0
        await crowd.close()
        await settled.close()


async def test_H13_a_client_that_takes_its_time_does_not_keep_others_out() -> None:
    async with serving(limits=Limits(first_exchanges=1, first_exchange_seconds=0.05)) as plane:
        await plane.publish(catalogue(1, cluster("a")))
        slow, next_one = RawClient(plane.xds_port, node="slow"), RawClient(plane.xds_port, node="next")
        await slow.say(C)
        await slow.hear()
        await boot(next_one)
        await slow.ack(C)
        await until(lambda: (plane.nodes.one("slow") or {}).get("synced"))
        for each in (slow, next_one):
            await each.close()


@pytest.mark.parametrize("variant", ["delta", "sotw"])
async def test_H13_M13_a_client_that_comes_up_type_by_type_takes_a_turn_for_each(variant: str) -> None:
    runtime = cluster("r", "", RUNTIME)
    async with serving(limits=Limits(first_exchanges=1, first_exchange_seconds=3600)) as plane:
        await plane.publish(catalogue(1, runtime, cluster("a")))
        client, holder = (RawClient(plane.xds_port, variant, node=name) for name in ("c", "h"))
        await client.say(RUNTIME, "r")
        await client.hear()
        await client.ack(RUNTIME, "r")
        await until(lambda: _active(plane) == 0)
        await holder.say(C)
        await holder.hear()
        await client.say(C)
        await until(lambda: _queued(plane) == 1)
        await holder.ack(C)
        assert names(await client.hear()) == ["a"]
        for each in (client, holder):
            await each.close()


async def test_H13_who_waits_for_a_turn_sleeps_though_something_else_is_due(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limits = Limits(first_exchanges=1, first_exchange_seconds=3600)
    async with serving(limits=limits, timing=Timing(cluster_grace=0.05)) as plane:
        await plane.publish(catalogue(1, cluster("a"), cluster("b")))
        client = RawClient(plane.xds_port, node="c")
        await boot(client)
        await until(lambda: _active(plane) == 0)
        (session,) = plane._discovery._sessions
        holder = RawClient(plane.xds_port, node="h")
        await holder.say(C)
        await holder.hear()
        # A cluster is to be taken away a little later; before that the client asks for another type.
        await plane.publish(catalogue(2, cluster("a")))
        await client.say(RUNTIME, "r")
        await until(lambda: _queued(plane) == 1)
        await until(lambda: session.stream.deadline is None or session.stream.deadline < monotonic())
        asked = 0

        def has_come(turn: Turn) -> bool:
            nonlocal asked
            asked += 1
            return not turn.waiting

        monkeypatch.setattr(Turn, "has_come", has_come)
        for _ in range(200):
            await asyncio.sleep(0)
        assert asked <= 1
        monkeypatch.undo()
        await holder.ack(C)
        assert (await client.hear()).type_url == RUNTIME
        for each in (client, holder):
            await each.close()


async def test_H13_who_waits_and_goes_is_no_burden() -> None:
    async with serving(limits=Limits(first_exchanges=1, first_exchange_seconds=3600)) as plane:
        await plane.publish(catalogue(1, cluster("a")))
        holder, goes, stays = (RawClient(plane.xds_port, node=name) for name in ("h", "g", "s"))
        await holder.say(C)
        await holder.hear()
        await goes.say(C)
        await until(lambda: _queued(plane) == 1)
        await stays.say(C)
        await until(lambda: _queued(plane) == 2)
        await goes.close()
        await until(lambda: _queued(plane) == 1)
        await holder.close()
        assert names(await stays.hear()) == ["a"]
        await stays.close()


def _value(plane: ControlPlane, name: str) -> float:
    return plane.metrics.registry.get_sample_value(name) or 0.0


def _queued(plane: ControlPlane) -> float:
    return _value(plane, "fairlead_xds_first_exchanges_waiting")


def _active(plane: ControlPlane) -> float:
    return _value(plane, "fairlead_xds_first_exchanges")
