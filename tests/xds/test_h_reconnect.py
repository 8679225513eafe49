"""Section H: clients that come back, over the wire."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.xds.conftest import Publish
from tests.xds.exchange import VARIANTS, C, Connect, E, L, P, R, S, bodies, heard, hold, removed, res, until
from tests.xds.raw_client import RawClient, names
from xds_server.server import ControlPlane
from xds_server.snapshot import Catalogue, Resource, layer


def versions(response: Any) -> dict[str, str]:
    return {resource.name: resource.version for resource in response.resources}


async def all_versions(client: RawClient, type_url: str, *names: str) -> dict[str, str]:
    """Ask for names, of which one is not there, and hold what comes: secrets one by one."""
    found = versions(await hold(client, type_url, *names))
    while len(found) < len(names) - 1:
        response = await client.hear()
        await client.ack(type_url)
        found |= versions(response)
    return found


async def test_H1_each_type_is_sent_what_changed_is_missing_or_gone(
    connect: Connect, publish: Publish
) -> None:
    def state(*names: str) -> list[Resource]:
        return [res(type_url, *name.split()) for type_url in (C, L, R, S) for name in names]

    await publish(*state("kept", "changed", "gone"))
    first, held = connect(), {}
    for type_url in (C, L, R, S):
        held[type_url] = await all_versions(first, type_url, "kept", "changed", "gone", "new")
    await first.close()
    await publish(*state("kept", "changed 2", "new"))
    second = connect()
    for type_url in (R, S, L, C):
        asked = () if type_url in (C, L) else ("kept", "changed", "gone", "new")
        await second.say(type_url, *asked, held=held[type_url])
        told: list[str] = []
        gone: list[str] = []
        while len(told) + len(gone) < 3:
            response = await second.hear()
            assert response.type_url == type_url
            await second.ack(type_url)
            told += bodies(response)
            gone += removed(response)
        assert (sorted(told), gone) == (["changed2", "new"], ["gone"])
    assert await heard(second) == []


async def test_H2_what_a_later_request_says_is_held_is_not_believed(
    connect: Connect, publish: Publish
) -> None:
    await publish(res(R, "a"), res(R, "b"))
    client = connect()
    version = versions(await hold(client, R, "a"))["a"]
    await client.say(R, "b", "a", held={"a": version, "b": res(R, "b").version, "c": "1"})
    response = await client.hear()
    assert (names(response), removed(response)) == (["a", "b"], [])


async def test_H3_a_name_not_said_to_be_held_is_sent(connect: Connect, publish: Publish) -> None:
    await publish(res(R, "a"), res(R, "b"))
    client = connect()
    await client.say(R, "a", "b", held={"a": res(R, "a").version})
    assert [bodies(each) for each in await heard(client)] == [["b"]]


async def test_H4_endpoints_before_clusters_are_sent_in_full(connect: Connect, publish: Publish) -> None:
    await publish(res(C, "a"), res(C, "b"), res(E, "a"), res(E, "b"))
    held = {name: res(E, name).version for name in "ab"}
    back = connect()
    await back.say(E, "a", "b", held=held)
    assert bodies(await back.hear()) == ["a", "b"]
    await back.ack(E)
    in_order = connect()
    await in_order.say(C, held={name: res(C, name).version for name in "ab"})
    await in_order.say(E, "a", "b", held=held)
    assert await heard(in_order) == []


async def test_H5_versions_that_this_server_never_gave_lead_to_a_resend(
    connect: Connect, publish: Publish
) -> None:
    await publish(res(C, "a"), res(R, "a"))
    client = connect()
    for type_url, asked in ((C, ()), (R, ("a",))):
        await client.say(type_url, *asked, held={"a": "of another server"})
        assert bodies(await client.hear()) == ["a"]
    sotw = connect("sotw")
    for type_url, asked in ((C, ()), (R, ("a",))):
        await sotw.say(type_url, *asked, version="of another server")
        assert bodies(await sotw.hear()) == ["a"]


@VARIANTS
async def test_H6_C7_an_old_refusal_that_opens_a_stream_is_an_initial_request(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str
) -> None:
    await publish(res(C, "a"))
    client = connect(variant)
    await client.say(C, error="of the stream before")
    assert bodies(await client.hear()) == ["a"]
    await client.ack(C)
    await publish(res(C, "a", "2"))
    assert bodies(await client.hear()) == (["a2"])
    assert plane.nodes.refused() == 0


@VARIANTS
async def test_H7_listeners_and_routes_before_clusters_are_answered_at_once(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"), res(L, "l", needs=("a",)), res(P, "p"), res(R, "r", needs=("a",)))
    client = connect(variant)
    for type_url, asked in ((L, ()), (R, ("r",)), (P, ())):
        await hold(client, type_url, *asked)
    assert bodies(await hold(client, C)) == ["a"]


async def test_H12_H8_two_servers_give_the_same_versions_in_both_variants(
    connect: Connect, publish: Publish
) -> None:
    resources = [res(C, "a"), res(C, "b"), res(R, "r")]
    await publish(*resources)
    other = ControlPlane(xds_address="127.0.0.1:0", admin_address="127.0.0.1:0")
    async with other:
        await other.publish(Catalogue(70, shared=layer(resources[::-1]), gateways={"edge": {}}))
        for variant in ("delta", "sotw"):
            here, there = connect(variant), RawClient(other.xds_port, variant)
            for type_url, asked in ((C, ()), (R, ("r",))):
                one, two = await hold(here, type_url, *asked), await hold(there, type_url, *asked)
                assert one.nonce != two.nonce
                if variant == "delta":
                    assert versions(one) == versions(two)
                else:
                    assert one.version_info == two.version_info
            await there.close()


async def test_H11_many_streams_that_end_in_the_middle_leave_nothing(
    connect: Connect, publish: Publish, plane: ControlPlane
) -> None:
    await publish(res(C, "a"))
    client = connect()
    for turn in range(100):
        client.call.cancel()
        client.call, client.met, client.nonces = _again(client), False, {}
        await client.say(C)
        if turn % 3:
            assert bodies(await client.hear()) == [f"a{turn - 1 if turn else ''}"]
        if turn % 3 == 2:
            await client.ack(C)
        await publish(res(C, "a", str(turn)))
    client.call.cancel()
    await until(lambda: plane.nodes.connected() == 0)
    await until(lambda: not plane.publisher._groups and not plane._discovery._sessions)
    assert not [task for task in asyncio.all_tasks() if "Session" in repr(task.get_coro())]


def _again(client: Any) -> Any:
    return client.channel.stream_stream(
        "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
    )()
