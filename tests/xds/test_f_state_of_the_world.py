"""Section F: what state-of-the-world responses hold, over the wire."""

from __future__ import annotations

import json
import os
import subprocess
import sys

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
from tests.xds.raw_client import RawClient
from tests.xds.requirement import ROOT
from xds_server.server import ControlPlane
from xds_server.snapshot import Catalogue, layer


def probe(type_url: str) -> str:
    """A type for `heard` that is not the one under test."""
    return L if type_url == P else P


@WILDCARDS
@pytest.mark.parametrize("asked", [(), ("a", "c", "missing")], ids=["everything", "names"])
async def test_F1_F2_a_full_set_comes_in_one_message_and_with_every_change(
    connect: Connect, publish: Publish, type_url: str, asked: tuple[str, ...]
) -> None:
    await publish(*(res(type_url, name) for name in "abc"))
    client = connect("sotw")
    assert bodies(await hold(client, type_url, *asked)) == (["a", "c"] if asked else ["a", "b", "c"])
    await publish(res(type_url, "a"), res(type_url, "b"), res(type_url, "c", " 2"))
    assert bodies(await client.hear()) == (["a", "c 2"] if asked else ["a", "b", "c 2"])
    await client.ack(type_url, *asked)
    await publish(res(type_url, "b"), res(type_url, "c", " 2"))
    assert bodies(await client.hear()) == (["c 2"] if asked else ["b", "c 2"])


@NAMED
async def test_F3_only_what_changed_is_sent_and_absence_says_nothing(
    connect: Connect, publish: Publish, type_url: str
) -> None:
    await publish(res(type_url, "a"), res(type_url, "b"))
    client = connect("sotw")
    assert await hold_each(client, type_url, "a", "b") == ["a", "b"]
    await publish(res(type_url, "a", " 2"), res(type_url, "b"))
    assert bodies(await client.hear()) == ["a 2"]
    await client.ack(type_url, "a", "b")
    await publish(res(type_url, "a", " 2"))
    assert await heard(client) == []
    await publish(res(type_url, "a", " 2"), res(type_url, "b", " 3"))
    assert bodies(await client.hear()) == ["b 3"]


@WILDCARDS
async def test_F4_removal_of_the_last_is_one_empty_response(
    connect: Connect, publish: Publish, type_url: str
) -> None:
    await publish(res(type_url, "a"))
    client = connect("sotw")
    await hold(client, type_url)
    await publish()
    response = await client.hear()
    assert (response.type_url, bodies(response)) == (type_url, [])
    await client.ack(type_url)
    await publish()
    assert await heard(client, probe(type_url)) == []


@VARIANTS
async def test_F5_H9_clients_of_the_first_minute_hear_nothing_until_the_first_load(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str
) -> None:
    client = connect(variant)
    asked = {C: (), E: ("a",), L: (), R: ("r",)}
    for type_url, names in asked.items():
        await client.say(type_url, *names)
    await until(lambda: all(told_of(plane, type_url) for type_url in asked))
    assert all(told_of(plane, type_url)["responses"] == 0 for type_url in asked)
    await publish(res(C, "a"), res(E, "a"), res(L, "l"), res(R, "r"))
    # Had an empty set been sent before, it would be heard first.
    assert [bodies(await client.hear()) for _ in asked] == [["a"], ["a"], ["l"], ["r"]]


@VARIANTS
@WILDCARDS
async def test_F6_an_authoritative_empty_set_is_told_at_once_and_once(
    connect: Connect, publish: Publish, variant: str, type_url: str
) -> None:
    await publish()
    client = connect(variant)
    response = await hold(client, type_url)
    assert (response.type_url, bodies(response)) == (type_url, [])
    assert await heard(client, *([probe(type_url)] if variant == "sotw" else [])) == []


@VARIANTS
@WILDCARDS
async def test_F7_G4_a_name_that_is_there_for_the_fleet_and_for_a_gateway_comes_once(
    connect: Connect, publish: Publish, variant: str, type_url: str
) -> None:
    async def state(turn: str) -> None:
        own = layer([res(type_url, "a", " of the gateway")])
        await publish(res(type_url, "a", turn), res(type_url, "b", turn), gateways={"edge": own})

    await state("")
    client = connect(variant)
    await client.say(type_url, "*", "a", "a")
    response = await client.hear()
    assert bodies(response) == ["a", "b"]
    await client.ack(type_url, "*", "a", "a")
    await state(" 2")
    assert bodies(await client.hear()) == ["a 2", "b 2"]


@pytest.mark.parametrize(("type_url", "asked"), [(C, ()), (P, ()), (E, ("a",)), (R, ("a",))])
async def test_F8_a_version_changes_with_the_content_that_the_node_sees_and_only_then(
    connect: Connect, publish: Publish, type_url: str, asked: tuple[str, ...]
) -> None:
    def gateways(body: str) -> dict:
        return {"edge": {}, "other": layer([res(type_url, "theirs", body)])}

    await publish(res(type_url, "a"), res(L, "l"), gateways=gateways("1"))
    client = connect("sotw")
    first = (await hold(client, type_url, *asked)).version_info
    await hold(client, L)
    await publish(res(L, "l", " 2"), res(type_url, "a"), gateways=gateways("2"))
    assert (await client.hear()).type_url == L
    await client.ack(L)
    assert await heard(client, C if type_url == P else P) == []
    again = connect("sotw")
    assert (await hold(again, type_url, *asked)).version_info == first
    await publish(res(type_url, "a", " 2"), res(L, "l", " 2"), gateways=gateways("2"))
    changed = (await client.hear()).version_info
    assert changed != first
    await client.ack(type_url, *asked)
    await publish(res(type_url, "a"), res(L, "l", " 2"), gateways=gateways("2"))
    assert (await client.hear()).version_info == first


@pytest.mark.parametrize(("type_url", "asked"), [(C, ()), (L, ()), (P, ()), (E, ("a", "b")), (R, ("a", "b"))])
async def test_F9_H12_a_version_is_the_same_on_other_streams_variants_and_servers(
    connect: Connect, publish: Publish, type_url: str, asked: tuple[str, ...]
) -> None:
    a, b = res(type_url, "a"), res(type_url, "b")
    await publish(res(type_url, "a", " before"), b)
    await publish(a, b)
    own = [await hold(connect("sotw", node=node), type_url, *asked) for node in ("one", "two")]
    other = ControlPlane(xds_address="127.0.0.1:0", admin_address="127.0.0.1:0")
    async with other:
        await other.publish(Catalogue(7, shared=layer([b, a]), gateways={"edge": {}}))
        client = RawClient(other.xds_port, "sotw")
        own.append(await hold(client, type_url, *asked))
        await client.close()
        delta = RawClient(other.xds_port)
        theirs = await hold(delta, type_url, *asked)
        await delta.close()
    assert len({response.version_info for response in own}) == 1
    here = await hold(connect(), type_url, *asked)
    assert [(each.name, each.version) for each in here.resources] == [
        (each.name, each.version) for each in theirs.resources
    ]


async def test_F9_F10_a_version_is_the_same_in_another_process(connect: Connect, publish: Publish) -> None:
    await publish(res(C, "a"), res(C, "b"))
    here = (await hold(connect("sotw"), C)).version_info
    program = (
        "from tests.xds.exchange import C, res; from xds_server.snapshot import View, layer;"
        "print(View(1, [layer([res(C, 'b'), res(C, 'a')])]).version(C))"
    )
    for seed in ("1", "2"):
        there = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert there.stdout.strip() == here


def test_F10_policies_become_the_same_bytes_in_any_process() -> None:
    program = "from xds_server.cli import main; main()"
    arguments = ("compile", "policies/multi-region", "--region", "eu-west-3", "--output", "json")
    seen = []
    for seed in ("1", "2", "77"):
        compiled = subprocess.run(
            [sys.executable, "-c", program, *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        )
        seen.append(compiled.stdout)
    first, *others = map(json.loads, seen)
    assert "envoy.config.listener.v3.Listener" in {each["type"] for each in first}
    for other in others:
        assert [pair for pair in zip(first, other, strict=True) if pair[0] != pair[1]] == []
    assert len(set(seen)) == 1


@WILDCARDS
async def test_F11_back_with_the_current_version_silence_but_names_are_sent(
    connect: Connect, publish: Publish, type_url: str
) -> None:
    await publish(res(type_url, "a"), res(type_url, "b"))
    first = connect("sotw")
    version = (await hold(first, type_url)).version_info
    await first.close()
    pure, named, mixed = (connect("sotw", node=node) for node in ("pure", "named", "mixed"))
    await pure.say(type_url, version=version)
    assert await heard(pure, probe(type_url)) == []
    await named.say(type_url, "a", version=version)
    assert bodies(await named.hear()) == ["a"]
    await mixed.say(type_url, "*", "a", version=version)
    assert bodies(await mixed.hear()) == ["a", "b"]
    await publish(res(type_url, "a", " 2"), res(type_url, "b"))
    assert bodies(await pure.hear()) == ["a 2", "b"]


@WILDCARDS
async def test_F12_back_with_an_old_version_the_full_set_comes_at_once(
    connect: Connect, publish: Publish, type_url: str
) -> None:
    await publish(res(type_url, "a"), res(type_url, "b"))
    first = connect("sotw")
    old = (await hold(first, type_url)).version_info
    await first.close()
    await publish(res(type_url, "a", " 2"), res(type_url, "b"))
    client = connect("sotw")
    await client.say(type_url, version=old)
    assert bodies(await client.hear()) == ["a 2", "b"]
