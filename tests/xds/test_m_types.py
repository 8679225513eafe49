"""Section M: rules of single types, over the wire."""

from __future__ import annotations

from tests.xds.conftest import Publish
from tests.xds.exchange import VARIANTS, C, Connect, S, T, bodies, heard, hold, removed, res
from xds_server.snapshot import Layer, layer


@VARIANTS
async def test_M6_a_cluster_asked_for_on_demand_adds_to_the_wildcard(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"), res(C, "b"))
    client = connect(variant)
    await hold(client, C)
    answers = []
    if variant == "delta":
        await client.say(C, "dyn")
    else:
        await client.ack(C, "*", "dyn")
    answers = await heard(client)
    assert [bodies(each) for each in answers] == ([[]] if variant == "delta" else [["a", "b"]])
    await client.ack(C, "*", "dyn")
    await publish(res(C, "a", "2"), res(C, "b"), res(C, "dyn"))
    assert bodies(await client.hear()) == (["a2", "dyn"] if variant == "delta" else ["a2", "b", "dyn"])


async def test_M7_a_cluster_asked_for_that_does_not_exist_is_told_removed(
    connect: Connect, publish: Publish
) -> None:
    await publish(res(C, "a"))
    client = connect()
    await hold(client, C)
    await client.say(C, "unknown")
    answer = await client.hear()
    assert (bodies(answer), removed(answer)) == ([], ["unknown"])


async def test_M8_a_cluster_that_comes_back_is_sent_without_being_asked_for(
    connect: Connect, publish: Publish
) -> None:
    await publish(res(C, "a"), res(C, "dyn"))
    client = connect()
    # An Envoy that fetches clusters on demand only: there is no wildcard.
    await hold(client, C, "dyn")
    await publish(res(C, "a"))
    assert removed(await client.hear()) == ["dyn"]
    await client.ack(C)
    await publish(res(C, "a"), res(C, "dyn", " again"))
    assert bodies(await client.hear()) == ["dyn again"]


async def test_M9_on_reconnect_clusters_asked_for_on_demand_are_told_apart(
    connect: Connect, publish: Publish
) -> None:
    await publish(res(C, "a"), res(C, "kept"), res(C, "missed"))
    client = connect()
    held = {name: res(C, name).version for name in ("a", "kept")}
    await client.say(C, "*", "kept", "missed", "gone", held=held)
    answers = await heard(client)
    assert [name for each in answers for name in bodies(each)] == ["missed"]
    assert [name for each in answers for name in removed(each)] == ["gone"]


@VARIANTS
async def test_M13_runtime_is_answered_first_and_before_clusters_are_asked_for(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(T, "layer"), res(C, "a"))
    client = connect(variant)
    assert bodies(await hold(client, T, "layer")) == ["layer"]
    assert bodies(await hold(client, C)) == ["a"]


async def test_M14_a_private_key_goes_to_its_own_gateway_only(connect: Connect, publish: Publish) -> None:
    def gateways(turn: int) -> dict[str, Layer]:
        return {name: layer([res(S, f"{name}/key", f" {turn}")]) for name in ("edge", "inner")}

    await publish(gateways=gateways(1))
    clients = {name: connect(node=name, gateway=name) for name in ("edge", "inner")}
    for name, client in clients.items():
        answer = await hold(client, S, "edge/key", "inner/key")
        (other,) = clients.keys() - {name}
        assert (bodies(answer), removed(answer)) == ([f"{name}/key 1"], [f"{other}/key"])
    nobody = connect(node="nobody", gateway="unknown")
    await nobody.say(S, "edge/key")
    await publish(gateways=gateways(2))
    for name, client in clients.items():
        assert [bodies(each) for each in await heard(client)] == [[f"{name}/key 2"]]
    nobody.call.cancel()
