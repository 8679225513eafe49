"""Section L: errors to the client, over the wire."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from tests.xds.conftest import Publish
from tests.xds.exchange import (
    VARIANTS,
    C,
    Connect,
    E,
    L,
    R,
    bodies,
    heard,
    hold,
    removed,
    res,
)
from xds_server.snapshot import layer


@VARIANTS
async def test_L1_a_missing_name_is_told_by_its_removal_and_not_by_an_error(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(L, "l"), res(R, "r"))
    client = connect(variant)
    for type_url, name in ((L, "l"), (R, "r")):
        response = await hold(client, type_url, name, "missing")
        assert bodies(response) == [name]
        assert list(response.resource_errors) == []
        if variant == "delta":
            assert removed(response) == ["missing"]


@VARIANTS
async def test_L2_nothing_but_a_fault_of_the_stream_closes_it(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"), gateways={"edge": {}})
    stranger, client = connect(variant, node="stranger", gateway="nobody's"), connect(variant)
    await stranger.say(C)
    await client.say("type.googleapis.com/not.a.Type", "x")
    await client.say("not even a URL", "x", nonce="neither a nonce")
    await client.say(E, "", "missing", "xdstp://nobody/x", "*")
    await client.say(L, nonce="never given", error="of another life", version="never given")
    for response in await heard(client):
        assert list(response.resources) == []
        await client.ack(response.type_url)
    await hold(client, C)
    await client.nack(C, "too late")
    await client.say(C, nonce=client.nonces[C], error="\N{SNOWMAN}" * 10_000)
    await client.say(C, "\N{SNOWMAN}" * 10_000, nonce=client.nonces[C])
    await publish(res(C, "a", " 2"), res(R, "r"), gateways={"edge": {}, "nobody's": {}})
    assert bodies(await stranger.hear()) == ["a 2"]
    await client.say(R, "r")
    while (response := await client.hear()).type_url != R:
        await client.ack(response.type_url)
    assert bodies(response) == ["r"]


@VARIANTS
@pytest.mark.parametrize("fault", ["no node", "no type", "no request"])
async def test_L2_a_fault_of_the_stream_closes_it_with_words(
    connect: Connect, publish: Publish, variant: str, fault: str
) -> None:
    await publish(res(C, "a"))
    client = connect(variant)
    if fault == "no request":
        await client.call.write(b"\xff\xff")
    else:
        client.met = fault == "no node"
        await client.say("" if fault == "no type" else C)
    assert await client.status() == grpc.StatusCode.INVALID_ARGUMENT
    assert await client.call.details()


@VARIANTS
async def test_L3_a_region_that_cannot_be_compiled_closes_no_stream(
    connect: Connect, publish: Publish, variant: str, logged: list[dict[str, Any]]
) -> None:
    broken: set[str] = set()
    turn = 0

    def regional(region: str) -> Any:
        if region in broken:
            raise RuntimeError("cannot be compiled")
        return layer([res(E, "a", f" {region} {turn}")])

    await publish(regional=regional)
    eu, us = connect(variant, node="eu", region="eu"), connect(variant, node="us", region="us")
    for client in (eu, us):
        await hold(client, E, "a")
    broken.add("us")
    turn += 1
    await publish(regional=regional)
    assert bodies(await eu.hear()) == ["a eu 1"]
    await eu.ack(E, "a")
    assert any(entry["log_level"] == "error" and entry["region"] == "us" for entry in logged)
    assert await heard(us) == []
    broken.clear()
    turn += 1
    await publish(regional=regional)
    assert bodies(await us.hear()) == ["a us 2"]
