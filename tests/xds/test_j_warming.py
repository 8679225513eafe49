"""Section J: clusters and listeners that warm, over the wire."""

from __future__ import annotations

from tests.xds.conftest import Publish
from tests.xds.exchange import VARIANTS, C, Connect, E, L, R, S, bodies, heard, hold, removed, res


@VARIANTS
async def test_J1_J3_endpoints_follow_each_changed_cluster_without_being_asked(
    connect: Connect, publish: Publish, variant: str
) -> None:
    endpoints = [res(E, "a"), res(E, "b")]
    await publish(res(C, "a"), res(C, "b"), *endpoints)
    client = connect(variant)
    await hold(client, C)
    await hold(client, E, "a", "b")
    await publish(res(C, "a", "2"), res(C, "b"), *endpoints)
    clusters, followed = await client.hear(), await client.hear()
    assert clusters.type_url == C
    assert (followed.type_url, bodies(followed)) == (E, ["a"])


async def test_J2_a_repeated_request_for_endpoints_is_answered(connect: Connect, publish: Publish) -> None:
    await publish(res(C, "a"), res(C, "b"), res(E, "a"), res(E, "b"))
    client = connect("sotw")
    await hold(client, C)
    await hold(client, E, "a", "b")
    # Envoy does so for a cluster that warms: other order, same version and nonce.
    await client.ack(E, "b", "a")
    assert bodies(await client.hear()) == ["a", "b"]


@VARIANTS
async def test_J4_a_cluster_that_did_not_change_is_not_sent_in_delta_and_has_equal_bytes_in_sotw(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(*(res(C, name) for name in "abc"), res(E, "a"))
    client = connect(variant)
    first = bodies(await hold(client, C))
    await hold(client, E, "a")
    await publish(*(res(C, name) for name in "abc"), res(E, "a", "2"))
    assert [(each.type_url, bodies(each)) for each in await heard(client)] == [(E, ["a2"])]
    await client.ack(E, "a")
    await publish(res(C, "a"), res(C, "b", "2"), res(C, "c"), res(E, "a", "2"))
    second = bodies(await client.hear())
    assert second == (["b2"] if variant == "delta" else [first[0], "b2", first[2]])


@VARIANTS
async def test_J5_a_changed_listener_has_its_routes_sent_only_if_they_are_asked_for(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(L, "l"), res(R, "r"))
    client = connect(variant)
    await hold(client, L)
    await hold(client, R, "r")
    await publish(res(L, "l", "2"), res(R, "r"))
    assert [each.type_url for each in await heard(client)] == [L]
    await client.ack(L)
    if variant == "delta":
        await client.say(R, "r")
    else:
        await client.ack(R, "r")
    assert bodies(await client.hear()) == ["r"]


async def test_J6_a_missing_secret_is_told_missing_at_once(connect: Connect, publish: Publish) -> None:
    await publish(res(C, "a"), res(S, "there"))
    client = connect()
    await client.say(C)
    await client.hear()
    # The clusters are not acknowledged: they wait for the secrets.
    await client.say(S, "there", "missing")
    answer = await client.hear()
    assert (bodies(answer), removed(answer)) == (["there"], ["missing"])


@VARIANTS
async def test_J7_a_changed_cluster_has_no_secret_sent_again(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"), res(S, "tls"))
    client = connect(variant)
    await hold(client, C)
    await hold(client, S, "tls")
    await publish(res(C, "a", "2"), res(S, "tls"))
    assert [each.type_url for each in await heard(client)] == [C]
