"""Section D: ACK and NACK, over the wire."""

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
    hold_each,
    res,
    told_of,
    until,
)
from xds_server.server import ControlPlane


@VARIANTS
@pytest.mark.parametrize("answer", ["an older version", "no version"])
async def test_D1_a_version_that_was_not_sent_is_no_nack(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str, answer: str
) -> None:
    await publish(res(C, "a"))
    client = connect(variant)
    first = await hold(client, C)
    await publish(res(C, "a", " 2"))
    await client.hear()
    older = first.version_info if variant == "sotw" and answer == "an older version" else ""
    await client.say(C, nonce=client.nonces[C], version=older)
    await until(lambda: told_of(plane, C)["acked"] == 2)
    assert (told_of(plane, C)["nacked"], plane.nodes.refused()) == (0, 0)
    await publish(res(C, "a", " 3"))
    assert bodies(await client.hear()) == ["a 3"]


@VARIANTS
async def test_D1_an_error_is_a_nack_even_with_the_version_that_was_sent(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str
) -> None:
    await publish(res(E, "a"))
    client = connect(variant)
    await client.say(E, "a")
    response = await client.hear()
    version = response.version_info if variant == "sotw" else ""
    await client.say(E, *client_names(variant, "a"), nonce=response.nonce, version=version, error="no")
    await until(lambda: told_of(plane, E)["nacked"] == 1)
    assert told_of(plane, E)["acked"] == 0


def client_names(variant: str, *names: str) -> tuple[str, ...]:
    """The names that an answer repeats: in state of the world all, in delta none."""
    return names if variant == "sotw" else ()


@VARIANTS
@WILDCARDS
async def test_D2_an_ack_of_everything_is_not_answered(
    connect: Connect, publish: Publish, variant: str, type_url: str
) -> None:
    await publish(res(type_url, "a"), res(type_url, "b"))
    client = connect(variant)
    await hold(client, type_url)
    assert await heard(client, *([L] if type_url == P and variant == "sotw" else [])) == []


@VARIANTS
@NAMED
async def test_D2_an_ack_of_names_is_not_answered(
    connect: Connect, publish: Publish, variant: str, type_url: str
) -> None:
    await publish(res(type_url, "a"), res(type_url, "b"))
    client = connect(variant)
    await hold_each(client, type_url, "a", "b")
    assert await heard(client) == []


@VARIANTS
@pytest.mark.parametrize(("type_url", "asked"), [(C, ()), (L, ()), (E, ("a",)), (R, ("a",))])
async def test_D3_D4_a_refused_content_is_not_sent_again_and_a_changed_one_clears_the_error(
    connect: Connect,
    publish: Publish,
    plane: ControlPlane,
    variant: str,
    type_url: str,
    asked: tuple[str, ...],
) -> None:
    await publish(res(type_url, "a"))
    client = connect(variant)
    await hold(client, type_url, *asked)
    await publish(res(type_url, "a", " bad"))
    assert bodies(await client.hear()) == ["a bad"]
    for _ in range(2):
        await client.nack(type_url, "a is bad", *asked)
    for turn in range(3):
        await publish(res(type_url, "a", " bad"), res(E, "unrelated", f" {turn}"))
    assert await heard(client) == []
    assert plane.nodes.refused() == 1
    await publish(res(type_url, "a", " good"))
    assert bodies(await client.hear()) == ["a good"]
    await client.ack(type_url, *asked)
    await until(lambda: plane.nodes.refused() == 0)
    assert told_of(plane, type_url)["refusals"] == []


@VARIANTS
@pytest.mark.parametrize(("type_url", "asked"), [(C, ()), (L, ()), (E, ("a", "b")), (R, ("a", "b"))])
async def test_D3_a_refused_content_that_comes_back_before_another_was_sent_is_not_sent_again(
    connect: Connect, publish: Publish, variant: str, type_url: str, asked: tuple[str, ...]
) -> None:
    await publish(res(type_url, "a"), res(type_url, "b"))
    client = connect(variant)
    await hold(client, type_url, *asked)
    await publish(res(type_url, "a", " bad"), res(type_url, "b"))
    assert "a bad" in bodies(await client.hear())
    await client.nack(type_url, "a is bad", *asked)
    await publish(res(type_url, "a", " bad"), res(type_url, "b", " 2"))
    full = variant == "sotw" and not asked
    assert bodies(await client.hear()) == (["a", "b 2"] if full else ["b 2"])
    await publish(res(type_url, "a", " other"), res(type_url, "b", " 2"))
    await publish(res(type_url, "a", " bad"), res(type_url, "b", " 2"))
    await client.ack(type_url, *asked)
    assert await heard(client) == []


@VARIANTS
@pytest.mark.parametrize("code", [0, 2, 3, 13])
@pytest.mark.parametrize("words", ["", "Error adding/updating cluster(s) a: Proto constraint val…"])
async def test_D5_an_error_is_a_nack_whatever_its_code_and_words(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str, code: int, words: str
) -> None:
    await publish(res(C, "a"))
    client = connect(variant)
    await client.say(C)
    await client.hear()
    answer = client.request(C, nonce=client.nonces[C], error=words)
    answer.error_detail.code = code
    await client.send(answer)
    await until(lambda: told_of(plane, C)["nacked"] == 1)
    assert plane.nodes.refused() == 1
    assert await heard(client) == []


@VARIANTS
async def test_D5_equal_errors_are_equal_whatever_their_markers(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str
) -> None:
    await publish(res(C, "a"))
    seen = []
    for words in ("a:  goo.gle/debugproto name: 1", "a: goo.gle/debugonly  name:  1"):
        client = connect(variant, node=words)
        await client.say(C)
        await client.hear()
        await client.nack(C, words)
        seen += await until(lambda node=words: refusals(plane, node))
    assert seen == ["a: name: 1"] * 2


def refusals(plane: ControlPlane, node: str) -> list[str]:
    told = plane.nodes.one(node) or {"streams": []}
    return [each["error"] for stream in told["streams"] for each in stream["types"]["Cluster"]["refusals"]]


async def test_D6_a_late_sotw_error_is_noted_and_the_newer_version_stays(
    connect: Connect, publish: Publish, plane: ControlPlane
) -> None:
    await publish(res(C, "a"), res(C, "b"))
    client = connect("sotw")
    await hold(client, C)
    await publish(res(C, "a"), res(C, "b", " 2"))
    newer = await client.hear()
    # Envoy's error about an earlier response, in its answer to one that it took.
    await client.say(C, nonce=newer.nonce, version=newer.version_info, error="duplicate cluster a")
    await until(lambda: told_of(plane, C)["nacked"] == 1)
    assert await heard(client) == []
    rows = {row["name"]: row["acked"] for row in told_of(plane, C)["resources"]}
    assert rows["b"] == res(C, "b", " 2").version
    await publish(res(C, "a", " 3"), res(C, "b", " 2"))
    assert bodies(await client.hear()) == ["a 3", "b 2"]
    await client.ack(C)
    await until(lambda: plane.nodes.refused() == 0)


@VARIANTS
async def test_D7_a_nack_delays_neither_other_types_nor_other_streams(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"), res(L, "l"))
    one, other, elsewhere = connect(variant), connect(variant), connect(variant, node="node-2")
    for client in (one, other, elsewhere):
        await hold(client, C)
        await hold(client, L)
    await publish(res(C, "a", " bad"), res(L, "l"))
    for client in (one, other, elsewhere):
        assert bodies(await client.hear()) == ["a bad"]
    await one.nack(C, "a is bad")
    await publish(res(C, "a", " bad"), res(L, "l", " 2"))
    assert bodies(await one.hear()) == ["l 2"]
    for client in (other, elsewhere):
        await client.ack(C)
        assert bodies(await client.hear()) == ["l 2"]
        await client.ack(L)
    await publish(res(C, "a", " good"), res(L, "l", " 2"))
    for client in (one, other, elsewhere):
        assert bodies(await client.hear()) == ["a good"]
