"""Section E: subscriptions, over the wire."""

from __future__ import annotations

import pytest

from tests.xds.conftest import Publish
from tests.xds.exchange import (
    NAMED,
    VARIANTS,
    WILDCARDS,
    C,
    Connect,
    E,
    L,
    P,
    R,
    S,
    bodies,
    heard,
    hold,
    hold_each,
    removed,
    res,
)
from xds_server.snapshot import Resource


@VARIANTS
@WILDCARDS
@pytest.mark.parametrize("asked", [(), ("*",)], ids=["nothing", "star"])
async def test_E1_E2_E7_no_name_and_star_ask_for_everything_and_follow_it(
    connect: Connect, publish: Publish, variant: str, type_url: str, asked: tuple[str, ...]
) -> None:
    await publish(res(type_url, "a"), res(type_url, "b"))
    client = connect(variant)
    assert bodies(await hold(client, type_url, *asked)) == ["a", "b"]
    await publish(res(type_url, "a"), res(type_url, "b"), res(type_url, "c"))
    assert bodies(await client.hear()) == (["c"] if variant == "delta" else ["a", "b", "c"])


async def test_E3_the_sotw_sequence_from_wildcard_to_nothing(connect: Connect, publish: Publish) -> None:
    def state(turn: int) -> list[Resource]:
        return [res(C, name, f" {turn}") for name in ("A", "B")]

    await publish(*state(1))
    client = connect("sotw")
    assert bodies(await hold(client, C)) == ["A 1", "B 1"]
    assert bodies(await hold(client, C, "*", "A")) == ["A 1", "B 1"]
    await publish(*state(2))
    assert bodies(await client.hear()) == ["A 2", "B 2"]
    await client.ack(C, "A")
    await publish(*state(3))
    assert bodies(await client.hear()) == ["A 3"]
    await client.ack(C)
    assert await heard(client) == []
    await publish(*state(4))
    assert await heard(client) == []


async def test_E4_the_delta_sequence_from_wildcard_to_nothing(connect: Connect, publish: Publish) -> None:
    def state(turn: int) -> list[Resource]:
        return [res(C, name, f" {turn}") for name in ("A", "B")]

    await publish(*state(1))
    client = connect()
    assert bodies(await hold(client, C)) == ["A 1", "B 1"]
    assert bodies(await hold(client, C, "A")) == ["A 1"]
    await publish(*state(2))
    assert bodies(await client.hear()) == ["A 2", "B 2"]
    await client.ack(C)
    await client.say(C, unsubscribe=("*",))
    assert await heard(client) == []
    await publish(*state(3))
    assert bodies(await client.hear()) == ["A 3"]
    await client.ack(C)
    await client.say(C, unsubscribe=("A",))
    assert await heard(client) == []
    await publish(*state(4))
    assert await heard(client) == []


@VARIANTS
async def test_E5_each_stream_and_each_type_starts_afresh(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"), res(C, "b"), res(L, "l"))
    first = connect(variant)
    assert bodies(await hold(first, C, "a")) == ["a"]
    if variant == "delta":
        await first.say(C, unsubscribe=("a",))
    else:
        await first.ack(C)
    assert await heard(first) == [], "no name after a name asks for nothing"
    assert bodies(await hold(first, L)) == ["l"], "another type"
    second = connect(variant)
    assert bodies(await hold(second, C)) == ["a", "b"], "another stream of the same node"


@VARIANTS
@NAMED
async def test_E6_an_empty_first_request_asks_for_nothing(
    connect: Connect, publish: Publish, variant: str, type_url: str
) -> None:
    await publish(res(type_url, "a"))
    client = connect(variant)
    await client.say(type_url)
    assert await heard(client) == []
    await publish(res(type_url, "a", "2"))
    assert await heard(client) == []
    assert bodies(await hold(client, type_url, "a")) == ["a2"]


@VARIANTS
async def test_E8_clusters_asked_for_on_demand_are_those_named(
    connect: Connect, publish: Publish, variant: str
) -> None:
    method = "envoy.service.cluster.v3.ClusterDiscoveryService/{}Clusters"
    await publish(res(C, "a"), res(C, "b"), res(C, "c"))
    client = connect(variant, method=method)
    assert bodies(await hold(client, C, "b")) == ["b"]
    assert bodies(await hold(client, C, "b", "a")) == ["a", "b"]


@VARIANTS
@NAMED
async def test_E9_only_names_asked_for_are_sent(
    connect: Connect, publish: Publish, variant: str, type_url: str
) -> None:
    await publish(res(type_url, "a"), res(type_url, "b"))
    client = connect(variant)
    assert bodies(await hold(client, type_url, "a")) == ["a"]
    await publish(res(type_url, "a"), res(type_url, "b", "2"), res(type_url, "c"))
    assert await heard(client) == []
    await publish(res(type_url, "a", "3"), res(type_url, "b", "3"))
    assert bodies(await client.hear()) == ["a3"]


@VARIANTS
async def test_E10_a_new_name_is_sent_though_the_node_was_sent_it_before(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(R, "a"), res(R, "b"))
    first = connect(variant)
    await hold(first, R, "a", "b")
    await first.close()
    second = connect(variant)
    await hold(second, R, "a")
    asked = ("b",) if variant == "delta" else ("a", "b")
    await second.say(R, *asked, nonce=second.nonces[R], version=second.versions.get(R, ""))
    assert bodies(await second.hear()) == ["b"]


@VARIANTS
async def test_E11_a_name_dropped_and_asked_for_again_is_sent(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(R, "a"), res(R, "b"))
    client = connect(variant)
    await hold(client, R, "a", "b")
    if variant == "delta":
        await client.say(R, unsubscribe=("a",))
    else:
        await client.ack(R, "b")
    assert await heard(client) == []
    await (client.say(R, "a") if variant == "delta" else client.ack(R, "a", "b"))
    assert bodies(await client.hear()) == ["a"]


@VARIANTS
@NAMED
async def test_E12_a_missing_name_is_remembered_and_sent_when_it_comes(
    connect: Connect, publish: Publish, variant: str, type_url: str
) -> None:
    await publish(res(type_url, "other"))
    client = connect(variant)
    await client.say(type_url, "late")
    answers = await heard(client)
    if variant == "delta":
        assert [(bodies(each), removed(each)) for each in answers] == [([], ["late"])]
        await client.ack(type_url)
    else:
        assert answers == []
    await publish(res(type_url, "other"), res(type_url, "late"))
    assert bodies(await client.hear()) == ["late"]


@VARIANTS
async def test_E13_order_and_repetition_of_names_mean_nothing(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(E, "a"), res(E, "b"))
    client = connect(variant)
    await client.say(E, "b", "a", "a", "b")
    assert bodies(await client.hear()) == ["a", "b"]
    await client.ack(E, "a", "b", "b")
    assert await heard(client) == []


@VARIANTS
async def test_E14_many_names_at_once_or_one_by_one_end_the_same(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(*(res(E, name) for name in "abc"))
    at_once, one_by_one = connect(variant), connect(variant)
    assert bodies(await hold(at_once, E, "a", "b", "c")) == ["a", "b", "c"]
    for last in (1, 2, 3):
        await hold(one_by_one, E, *("abc"[:last] if variant == "sotw" else "abc"[last - 1 : last]))
    await publish(*(res(E, name, "2") for name in "abc"))
    for client in (at_once, one_by_one):
        assert bodies(await client.hear()) == ["a2", "b2", "c2"]


@VARIANTS
async def test_E15_streams_of_one_type_are_independent(
    connect: Connect, publish: Publish, variant: str
) -> None:
    method = "envoy.service.endpoint.v3.EndpointDiscoveryService/{}Endpoints"
    await publish(res(E, "a"), res(E, "b"))
    one, other = connect(variant, method=method), connect(variant, method=method)
    await one.say(E, "a")
    assert bodies(await one.hear()) == ["a"]
    assert bodies(await hold(other, E, "b")) == ["b"]
    await publish(res(E, "a", "2"), res(E, "b", "2"))
    # One has not answered yet: it waits, the other does not.
    assert bodies(await other.hear()) == ["b2"]
    await one.ack(E, "a")
    assert bodies(await one.hear()) == ["a2"]


@VARIANTS
async def test_E16_no_names_after_names_ends_the_pushes(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(E, "a"), res(E, "b"))
    client = connect(variant)
    await hold(client, E, "a", "b")
    await (client.say(E, unsubscribe=("a", "b")) if variant == "delta" else client.ack(E))
    assert await heard(client) == []
    await publish(res(E, "a", "2"), res(E, "b", "2"))
    assert await heard(client) == []


@VARIANTS
async def test_E17_what_waits_for_a_dropped_name_is_not_sent(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(E, "a"), res(E, "b"))
    client = connect(variant)
    await client.say(E, "a", "b")
    await client.hear()
    await publish(res(E, "a", "2"), res(E, "b", "2"))
    if variant == "delta":
        await client.say(E, unsubscribe=("a",), nonce=client.nonces[E])
    else:
        await client.ack(E, "b")
    assert [bodies(each) for each in await heard(client)] == [["b2"]]


async def test_E18_dropping_names_never_asked_for_is_ignored(connect: Connect, publish: Publish) -> None:
    await publish(res(E, "a"), res(E, "b"))
    client = connect()
    await hold(client, E, "a")
    await client.say(E, unsubscribe=("b", "never heard of"))
    assert await heard(client) == []
    await publish(res(E, "a", "2"), res(E, "b"))
    assert bodies(await client.hear()) == ["a2"]


@pytest.mark.parametrize("type_url", [C, L, P, E, R, S], ids=["CDS", "LDS", "SRDS", "EDS", "RDS", "SDS"])
async def test_E19_a_held_name_asked_for_again_is_sent(
    connect: Connect, publish: Publish, type_url: str
) -> None:
    await publish(res(type_url, "a"), res(type_url, "b"))
    client = connect()
    await hold_each(client, type_url, "a", "b")
    await client.say(type_url, "a")
    assert [bodies(each) for each in await heard(client)] == [["a"]]


async def test_E20_a_name_dropped_under_a_wildcard_is_answered(connect: Connect, publish: Publish) -> None:
    await publish(res(C, "a"))
    client = connect()
    await hold(client, C)
    await client.say(C, "a", "not there")
    answer = await client.hear()
    assert (bodies(answer), removed(answer)) == (["a"], ["not there"])
    await client.ack(C)
    await client.say(C, unsubscribe=("a", "not there"))
    answer = await client.hear()
    assert (bodies(answer), removed(answer)) == (["a"], ["not there"])


async def test_E21_a_name_asked_for_and_dropped_in_one_request_is_asked_for(
    connect: Connect, publish: Publish
) -> None:
    await publish(res(E, "a"))
    client = connect()
    await hold(client, E, "a")
    await client.say(E, "a", unsubscribe=("a",))
    assert [bodies(each) for each in await heard(client)] == [["a"]]
    await client.ack(E)
    await publish(res(E, "a", "2"))
    assert bodies(await client.hear()) == ["a2"]
