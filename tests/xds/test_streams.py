from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.xds.conftest import Publish
from tests.xds.raw_client import RawClient, names
from xds_server.protocol import types as t
from xds_server.server import ControlPlane
from xds_server.snapshot import Catalogue, Resource, layer

T, C, E, S, X, L, P, R = t.ORDER
Connect = Callable[..., RawClient]
VARIANTS = pytest.mark.parametrize("variant", ["delta", "sotw"])
PATIENCE = 20.0


def res(type_url: str, name: str, body: str = "", needs: tuple[str, ...] = ()) -> Resource:
    """A resource whose body is its name, or the name and something."""
    return Resource.of(type_url, name, f"{name}{body}".encode(), origin=f"{name}.yaml:3", needs=needs)


async def until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)
        return condition()


async def silence(client: RawClient, type_url: str = "type.googleapis.com/probe") -> None:
    """Prove that nothing is on its way: the next thing heard is the answer to a question asked now."""
    if client.variant == "delta":
        await client.say(type_url, "nothing of this name")
        response = await client.hear()
        assert response.type_url == type_url
        await client.ack(type_url)
    else:
        await client.say(L, "nothing of this name")
        response = await client.hear()
        assert response.type_url == L


@VARIANTS
async def test_I1_I2_I3_order_of_a_change(connect: Connect, publish: Publish, variant: str) -> None:
    old = [res(C, "a"), res(E, "a"), res(L, "l"), res(R, "r", "->a", needs=("a",))]
    await publish(*old)
    client = connect(variant)
    for type_url, asked in [(C, ()), (E, ("a",)), (L, ()), (R, ("r",))]:
        await client.say(type_url, *asked)
        assert (await client.hear()).type_url == type_url
        await client.ack(type_url, *asked)
    await publish(*old[:2], res(C, "b"), res(E, "b"), res(L, "l", "2"), res(R, "r", "->b", needs=("b",)))
    assert [(await client.hear()).type_url for _ in range(2)] == [C, L]
    await client.say(E, *(("b",) if variant == "delta" else ("a", "b")), **nonce(client, E))
    assert (await client.hear()).type_url == E
    await client.ack(C)
    routes = await client.hear()
    assert routes.type_url == R


def nonce(client: RawClient, type_url: str) -> dict[str, Any]:
    return {} if client.variant == "delta" else {"nonce": client.nonces[type_url]}


async def test_H1_reconnect_sends_only_what_changed(connect: Connect, publish: Publish) -> None:
    kept, changed = res(C, "kept"), res(C, "changed")
    await publish(kept, changed)
    first = connect()
    await first.say(C)
    held = {resource.name: resource.version for resource in (await first.hear()).resources}
    await first.ack(C)
    await first.close()
    await publish(kept, res(C, "changed", "2"), res(C, "new"))
    second = connect()
    await second.say(C, held={**held, "gone": "1"})
    response = await second.hear()
    assert names(response) == ["changed", "new"]
    await second.ack(C)
    assert list((await second.hear()).removed_resources) == ["gone"]


async def test_H8_H12_another_server_with_the_same_catalogue_sends_nothing(
    connect: Connect, publish: Publish
) -> None:
    await publish(res(C, "a"), res(L, "l"))
    first = connect()
    held = {}
    for type_url in (C, L):
        await first.say(type_url)
        held[type_url] = {r.name: r.version for r in (await first.hear()).resources}
        await first.ack(type_url)
    other = ControlPlane(xds_address="127.0.0.1:0", admin_address="127.0.0.1:0")
    async with other:
        await other.publish(Catalogue(99, shared=layer([res(L, "l"), res(C, "a")]), gateways={"edge": {}}))
        second = RawClient(other.xds_port)
        for type_url in (C, L):
            await second.say(type_url, held=held[type_url])
        await silence(second)
        await second.close()


async def test_H12_F11_a_sotw_client_that_comes_back_with_the_current_version_hears_nothing(
    connect: Connect, publish: Publish
) -> None:
    await publish(res(C, "a"))
    first = connect("sotw")
    await first.say(C)
    version = (await first.hear()).version_info
    await first.ack(C)
    await first.close()
    second = connect("sotw")
    await second.say(C, version=version)
    await silence(second)


@VARIANTS
async def test_N3_N4_a_client_that_does_not_read_costs_no_more_than_its_names(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str
) -> None:
    def state(turn: int) -> list[Resource]:
        return [res(C, "a", f" {turn}"), res(C, "big", "x" * 200_000)]

    await publish(*state(0))
    slow, quick = connect(variant), connect(variant, node="quick")
    for client in (slow, quick):
        await client.say(C)
    assert len((await quick.hear()).resources) == 2
    await quick.ack(C)
    await until(lambda: plane.metrics.responses.labels("Cluster")._value.get() == 2)
    for turn in range(1, 300):
        await publish(*state(turn))
    assert plane.metrics.responses.labels("Cluster")._value.get() < 300
    told = plane.nodes.one("node-1")
    assert told is not None
    assert told["streams"][0]["types"]["Cluster"]["waiting"] == 1

    async def last(client: RawClient) -> str:
        while True:
            response = await client.hear()
            await client.ack(C)
            body = response.resources[0]
            text = (body.resource.value if variant == "delta" else body.value).decode()
            if text == "a 299":
                return text

    assert await last(quick) == "a 299"
    assert names(await slow.hear())[0].startswith("a")
    await slow.ack(C)
    final = (await slow.hear()).resources[0]
    assert (final.resource.value if variant == "delta" else final.value) == b"a 299"


async def test_N7_G7_an_equal_catalogue_wakes_nobody(
    connect: Connect, publish: Publish, plane: ControlPlane
) -> None:
    await publish(res(C, "a"))
    client = connect()
    await client.say(C)
    await client.hear()
    await client.ack(C)
    await until(lambda: (plane.nodes.one("node-1") or {}).get("synced"))
    await publish(res(C, "a"))
    told = plane.nodes.one("node-1")
    assert told is not None
    assert told["streams"][0]["generation"] == 2
    await silence(client)


async def test_H11_nothing_is_kept_of_a_closed_stream_but_its_last_state(
    connect: Connect, publish: Publish, plane: ControlPlane
) -> None:
    await publish(res(C, "a"))
    client = connect()
    await client.say(C)
    await client.hear()
    await client.ack(C)
    await until(lambda: (plane.nodes.one("node-1") or {}).get("synced"))
    await client.close()
    await until(lambda: plane.nodes.connected() == 0)
    told = plane.nodes.one("node-1")
    assert told is not None
    assert told["connected"] is False
    assert told["streams"][0]["types"]["Cluster"]["resources"][0]["acked"] == res(C, "a").version
    await until(lambda: not plane.publisher._groups and not plane._discovery._sessions)
    assert plane.metrics.streams.labels("delta")._value.get() == 0
