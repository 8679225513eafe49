"""Section C: nonces and stale requests, over the wire."""

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
    bodies,
    heard,
    hold,
    res,
    told_of,
    until,
)
from xds_server.server import ControlPlane


@VARIANTS
async def test_C1_each_response_has_a_nonce_of_its_own(
    connect: Connect, publish: Publish, variant: str
) -> None:
    asked = {C: (), E: ("a",), L: (), R: ("r",)}

    def state(turn: int) -> list:
        return [
            res(C, "a", f" {turn}"),
            res(E, "a", f" {turn}"),
            res(L, "l", f" {turn}"),
            res(R, "r", f" {turn}"),
        ]

    await publish(*state(0))
    client = connect(variant)
    nonces = [(await hold(client, type_url, *names)).nonce for type_url, names in asked.items()]
    for turn in range(1, 6):
        await publish(*state(turn))
        for _ in asked:
            response = await client.hear()
            nonces.append(response.nonce)
            await client.ack(response.type_url, *asked[response.type_url])
    assert all(nonces)
    assert len(set(nonces)) == 6 * len(asked)


@VARIANTS
async def test_C2_a_response_of_one_type_leaves_the_nonces_of_others_fresh(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str
) -> None:
    await publish(res(C, "a"), res(E, "a"))
    client = connect(variant)
    await client.say(C)
    await client.hear()
    await hold(client, E, "a")
    assert told_of(plane, C)["in_flight"] is True
    await client.ack(C)
    await until(lambda: told_of(plane, C)["acked"] == 1)
    await publish(res(C, "a", " 2"), res(E, "a"))
    assert bodies(await client.hear()) == ["a 2"]


@NAMED
async def test_C3_C4_a_stale_sotw_request_is_not_answered_and_its_names_come_with_the_next(
    connect: Connect, publish: Publish, type_url: str
) -> None:
    await publish(res(type_url, "a"), res(type_url, "b"))
    client = connect("sotw")
    stale = (await hold(client, type_url, "a")).nonce
    await publish(res(type_url, "a", " 2"), res(type_url, "b"))
    assert bodies(await client.hear()) == ["a 2"]
    await client.say(type_url, "a", "b", nonce=stale, version=client.versions[type_url])
    assert await heard(client) == []
    await client.ack(type_url, "a", "b")
    assert bodies(await client.hear()) == ["b"]


@WILDCARDS
async def test_C3_a_stale_sotw_error_is_no_answer_to_what_is_in_flight(
    connect: Connect, publish: Publish, plane: ControlPlane, type_url: str
) -> None:
    await publish(res(type_url, "a"))
    client = connect("sotw")
    stale = (await hold(client, type_url)).nonce
    await publish(res(type_url, "a", " 2"))
    assert bodies(await client.hear()) == ["a 2"]
    await client.say(type_url, nonce=stale, error="too late")
    assert await heard(client, L if type_url == P else P) == []
    told = told_of(plane, type_url)
    assert (told["in_flight"], told["nacked"]) == (True, 0)
    await client.ack(type_url)
    await until(lambda: told_of(plane, type_url)["acked"] == 2)


async def test_C5_a_stale_delta_nonce_is_no_answer_but_its_subscriptions_count(
    connect: Connect, publish: Publish, plane: ControlPlane
) -> None:
    await publish(res(E, "a"), res(E, "b"), res(E, "c"))
    client = connect()
    stale = (await hold(client, E, "a", "c")).nonce
    await client.say(E, "b", nonce="never given")
    assert bodies(await client.hear()) == ["b"]
    await client.say(E, unsubscribe=("c",), nonce=stale)
    assert await heard(client) == []
    assert told_of(plane, E)["in_flight"] is True
    assert told_of(plane, E)["subscribed"] == ["a", "b"]
    await client.ack(E)
    await publish(res(E, "a", " 2"), res(E, "b"), res(E, "c", " 2"))
    assert bodies(await client.hear()) == ["a 2"]


async def test_C6_a_delta_request_without_nonce_is_no_ack(
    connect: Connect, publish: Publish, plane: ControlPlane
) -> None:
    await publish(res(C, "a"))
    client = connect()
    await client.say(C)
    await client.hear()
    await client.say(C, unsubscribe=("other",))
    await publish(res(C, "a", " 2"))
    assert await heard(client) == []
    assert (told_of(plane, C)["in_flight"], told_of(plane, C)["acked"]) == (True, 0)
    await client.ack(C)
    assert bodies(await client.hear()) == ["a 2"]


@VARIANTS
@pytest.mark.parametrize(("type_url", "asked"), [(C, ()), (L, ()), (E, ("a",)), (R, ("a",))])
async def test_C7_a_first_request_with_another_streams_nonce_is_an_initial_one(
    connect: Connect, publish: Publish, variant: str, type_url: str, asked: tuple[str, ...]
) -> None:
    await publish(res(type_url, "a"))
    before = connect(variant)
    old = (await hold(before, type_url, *asked)).nonce
    await before.close()
    client = connect(variant)
    await client.say(type_url, *asked, nonce=old)
    response = await client.hear()
    assert bodies(response) == ["a"]
    assert response.nonce != old


@NAMED
async def test_C8_a_late_sotw_request_without_nonce_is_honoured(
    connect: Connect, publish: Publish, type_url: str
) -> None:
    await publish(res(type_url, "a"), res(type_url, "b"), res(type_url, "c"))
    client = connect("sotw")
    # It crosses with the first response, which the client therefore has not seen when it asks.
    await client.say(type_url, "a")
    assert bodies(await client.hear()) == ["a"]
    await client.say(type_url, "a", "b")
    await client.ack(type_url, "a", "b")
    assert bodies(await client.hear()) == ["b"]
    await client.ack(type_url, "a", "b")
    await client.say(type_url, "a", "b", "c")
    assert bodies(await client.hear()) == ["c"]


@VARIANTS
async def test_C9_several_requests_before_the_next_response_are_answered_once(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str
) -> None:
    client = connect(variant)
    for asked in (("a",), ("a", "b"), ("a", "b", "c")):
        await client.say(E, *asked)
    await until(lambda: told_of(plane, E).get("subscribed") == ["a", "b", "c"])
    await publish(res(E, "a"), res(E, "b"), res(E, "c"))
    assert bodies(await client.hear()) == ["a", "b", "c"]
    await client.ack(E, "a", "b", "c")
    assert await heard(client) == []


async def test_C9_an_ack_that_is_repeated_is_not_answered(connect: Connect, publish: Publish) -> None:
    await publish(res(C, "a"), res(E, "a"))
    client = connect("sotw")
    await hold(client, C)
    for _ in range(3):
        await client.ack(C)
    assert await heard(client) == []
