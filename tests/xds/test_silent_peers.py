"""Clients that vanish without a word, and clients that stop reading."""

from __future__ import annotations

from typing import Any

import pytest

from tests.server.planes import C, boot, catalogue, cluster, serving, until
from tests.server.relay import relay
from tests.xds.raw_client import RawClient, names
from xds_server.protocol import types as t
from xds_server.server import ControlPlane, Keepalive

VARIANTS = pytest.mark.parametrize("variant", ["delta", "sotw"])


async def test_A10_a_half_open_client_is_noticed_and_its_stream_is_freed() -> None:
    async with (
        serving(keepalive=Keepalive(interval=1.0, timeout=4.0)) as plane,
        relay(plane.xds_port) as between,
    ):
        await plane.publish(catalogue(1, cluster("a")))
        client, other = RawClient(between.port, node="gone"), RawClient(plane.xds_port, node="here")
        for each in (client, other):
            await boot(each)
        await until(lambda: plane.nodes.connected() == 2)
        between.silence()
        await until(lambda: plane.nodes.connected() == 1)
        await until(lambda: plane.metrics.streams.labels("delta")._value.get() == 1)
        await plane.publish(catalogue(2, cluster("a", "2")))
        assert names(await other.hear()) == ["a"]
        for each in (client, other):
            await each.close()


@VARIANTS
async def test_N3_a_client_that_stops_reading_has_one_response_in_flight_and_blocks_nobody(
    variant: str,
) -> None:
    # Far more than sockets and HTTP/2 windows take up.
    big = cluster("big", "x" * 20_000_000)

    async with serving() as plane, relay(plane.xds_port) as between:

        async def publish(turn: int) -> None:
            text = f" {turn}"
            route = cluster("r", text, t.ROUTE)
            await plane.publish(catalogue(turn, cluster("a", text), big, route, cluster("e", "", t.ENDPOINT)))

        def sent(type_url: str) -> float:
            value: float = plane.metrics.responses.labels(t.short(type_url))._value.get()
            return value

        await publish(1)
        stuck, quick = RawClient(between.port, variant, node="stuck"), RawClient(plane.xds_port, variant)
        await stuck.say(t.ENDPOINT, "e")
        await stuck.hear()
        await stuck.ack(t.ENDPOINT, "e")
        between.hold_answers()
        await stuck.say(C)
        await until(lambda: sent(C) == 1)
        await stuck.say(t.ROUTE, "r")
        await until(lambda: t.ROUTE in channels(plane, "stuck"))
        await quick.say(t.ROUTE, "r")
        for turn in range(1, 12):
            await publish(turn)
            assert names(await quick.hear())[0].startswith("r")
            await quick.ack(t.ROUTE, "r")
        # Ten more generations of two types cost the stuck one not a response that is made and not sent.
        assert (sent(C), sent(t.ROUTE)) == (1, 11)
        told = channels(plane, "stuck")[C]
        assert (told["in_flight"], told["waiting"]) == (True, 1)
        for each in (stuck, quick):
            await each.close()


def channels(plane: ControlPlane, node: str) -> dict[str, dict[str, Any]]:
    """What the server tells of a node's types, by type URL."""
    told = plane.nodes.one(node)
    assert told is not None
    short = {t.short(type_url): type_url for type_url in t.ORDER}
    return {short[name]: each for name, each in told["streams"][0]["types"].items()}
