"""Section G: what delta responses hold, over the wire."""

from __future__ import annotations

import pytest

from tests.xds.conftest import Publish
from tests.xds.exchange import (
    NAMED,
    VARIANTS,
    C,
    Connect,
    E,
    L,
    R,
    S,
    X,
    bodies,
    heard,
    hold,
    hold_each,
    removed,
    res,
)
from tests.xds.raw_client import names
from xds_server.server import ControlPlane
from xds_server.snapshot import Catalogue, layer


async def test_G1_C1_an_update_of_one_of_many_sends_that_one(connect: Connect, publish: Publish) -> None:
    await publish(res(C, "a"), res(C, "b"), res(C, "c"))
    client = connect()
    first = await hold(client, C)
    assert names(first) == ["a", "b", "c"]
    await publish(res(C, "a"), res(C, "b", "2"), res(C, "c"))
    second = await client.hear()
    assert (names(second), removed(second)) == (["b"], [])
    assert second.resources[0].version != first.resources[1].version
    assert second.nonce not in ("", first.nonce)


@pytest.mark.parametrize("type_url", [C, L, E, R, S], ids=["CDS", "LDS", "EDS", "RDS", "SDS"])
async def test_G2_a_deletion_is_told_once(connect: Connect, publish: Publish, type_url: str) -> None:
    await publish(res(type_url, "a"), res(type_url, "b"))
    client = connect()
    await hold_each(client, type_url, "a", "b")
    await publish(res(type_url, "a"))
    response = await client.hear()
    assert (names(response), removed(response)) == ([], ["b"])
    await client.ack(type_url)
    await publish(res(type_url, "a"), res(R if type_url != R else S, "x"))
    assert await heard(client) == []


@NAMED
async def test_G3_a_missing_name_is_called_removed_and_stays_subscribed(
    connect: Connect, publish: Publish, type_url: str
) -> None:
    await publish(res(type_url, "a"))
    client = connect()
    await client.say(type_url, "a", "b")
    response = await client.hear()
    assert (names(response), removed(response)) == (["a"], ["b"])
    await client.ack(type_url)
    await publish(res(type_url, "a"), res(type_url, "b"))
    assert names(await client.hear()) == ["b"]
    await client.ack(type_url)
    await publish(res(type_url, "a"))
    gone = [removed(each) for each in await heard(client)]
    assert gone == ([] if type_url == X else [["b"]]), "a filter stays while it is asked for (G14)"
    await client.ack(type_url)
    await publish(res(type_url, "a"), res(type_url, "b", "2"))
    assert bodies(await client.hear()) == ["b2"], "it comes back after it went"


async def test_G14_a_fetched_filter_is_not_taken_from_a_client_that_asks_for_it(
    connect: Connect, publish: Publish
) -> None:
    await publish(res(L, "l"), res(X, "jwt"))
    client = connect()
    await hold(client, L)
    await hold(client, X, "jwt")
    await publish(res(L, "l", "2"))
    assert bodies(await client.hear()) == ["l2"]
    await client.ack(L)
    assert await heard(client) == []
    await client.say(X, unsubscribe=("jwt",))
    await client.say(X, "jwt")
    assert removed(await client.hear()) == ["jwt"], "told missing to who asks anew"


async def test_G4_no_name_is_twice_in_a_response_whatever_happened_before_it(
    connect: Connect, publish: Publish
) -> None:
    await publish(res(E, "a"), res(E, "b"), res(E, "c"))
    client = connect()
    await client.say(E, "a", "b", "c", "d", "a")
    responses = [await client.hear()]
    # Gone, there again, changed, asked for once more and missing, while one response is on its way.
    await publish(res(E, "b"), res(E, "c"))
    await publish(res(E, "a", "2"), res(E, "b"), res(E, "d"))
    await client.say(E, "a", "c", "d", unsubscribe=("a", "c"))
    await publish(res(E, "a", "3"))
    await client.ack(E)
    responses.append(await client.hear())
    assert (names(responses[1]), removed(responses[1])) == (["a"], ["b", "c", "d"])
    for response in responses:
        told = names(response) + removed(response)
        assert len(told) == len(set(told))


async def test_G6_a_version_is_that_of_the_content(connect: Connect, publish: Publish) -> None:
    client = connect()
    versions = []
    for body in ("1", "2", "1"):
        await publish(res(C, "a", body))
        if not versions:
            await client.say(C)
        versions.append((await client.hear()).resources[0].version)
        await client.ack(C)
    assert all(versions)
    assert versions[0] == versions[2] != versions[1]


@VARIANTS
async def test_G7_an_equal_catalogue_of_another_generation_sends_nothing(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"), res(E, "a"))
    client = connect(variant)
    await hold(client, C)
    await hold(client, E, "a")
    for _ in range(3):
        await publish(res(C, "a"), res(E, "a"))
    assert await heard(client) == []


async def test_G8_dropping_a_name_needs_no_response(connect: Connect, publish: Publish) -> None:
    await publish(res(E, "a"))
    client = connect()
    await hold(client, E, "a")
    await client.say(E, unsubscribe=("a",))
    assert await heard(client) == []


@VARIANTS
async def test_G9_one_response_per_type_is_in_flight_and_the_rest_comes_in_one(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(E, "a"), res(E, "b"), res(L, "l"))
    client = connect(variant)
    await client.say(E, "a", "b")
    await client.hear()
    for turn in range(10):
        await publish(res(E, "a", str(turn)), res(E, "b", str(turn)), res(L, "l"))
    assert await heard(client) == [], "nothing more before the first is answered"
    assert bodies(await hold(client, L)) == ["l"], "another type does not wait"
    await client.ack(E, "a", "b")
    assert [bodies(each) for each in await heard(client)] == [["a9", "b9"]]


async def test_G10_nothing_hangs_on_the_version_of_the_whole(connect: Connect, plane: ControlPlane) -> None:
    async def publish(generation: int, body: str) -> None:
        await plane.publish(
            Catalogue(generation, shared=layer([res(C, "a", body)]), gateways={"edge": {}}),
        )

    await publish(9, "1")
    client = connect()
    told = [(await hold(client, C)).system_version_info]
    # A server that counts from the beginning again, and one that does not count at all.
    for generation, body in ((3, "2"), (3, "3")):
        await publish(generation, body)
        response = await client.hear()
        assert bodies(response) == [f"a{body}"]
        told.append(response.system_version_info)
        await client.ack(C)
    assert told == ["9", "3", "3"]


@pytest.mark.parametrize("type_url", [C, L], ids=["CDS", "LDS"])
async def test_G11_a_rename_adds_before_it_removes(connect: Connect, publish: Publish, type_url: str) -> None:
    await publish(res(type_url, "old"))
    client = connect()
    await hold(client, type_url)
    await publish(res(type_url, "new"))
    added: list[str] = []
    gone: list[str] = []
    count = 0
    while not gone:
        response = await client.hear()
        await client.ack(type_url)
        count += 1
        added += names(response)
        gone += removed(response)
        assert added == ["new"]
    assert gone == ["old"]
    assert count <= 2
    assert await heard(client) == []


async def test_G15_a_rotated_secret_is_an_update(connect: Connect, publish: Publish) -> None:
    await publish(res(S, "certificate", " of March"))
    client = connect()
    await hold(client, S, "certificate")
    await publish(res(S, "certificate", " of April"))
    response = await client.hear()
    assert (bodies(response), removed(response)) == (["certificate of April"], [])
    await client.ack(S)
    assert await heard(client) == []
