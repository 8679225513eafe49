"""Section D: what the server keeps of ACKs and NACKs, over the wire."""

from __future__ import annotations

from typing import Any

from tests.xds.conftest import Publish
from tests.xds.exchange import (
    VARIANTS,
    C,
    Connect,
    E,
    bodies,
    heard,
    hold,
    res,
    told_of,
    until,
)
from xds_server.server import ControlPlane


@VARIANTS
async def test_D3_D9_L3_a_refusal_is_kept_logged_and_shown_and_not_repeated(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str, logged: list[dict[str, Any]]
) -> None:
    await publish(res(C, "a"))
    client = connect(variant)
    await client.say(C)
    await client.hear()
    await client.ack(C)
    await publish(res(C, "a", "bad"))
    await client.hear()
    await client.nack(C, "a is  bad goo.gle/debugonly")
    await until(plane.nodes.refused)
    (entry,) = [entry for entry in logged if "NACK" in entry["event"]]
    assert entry["log_level"] == "warning"
    shown = {key: entry[key] for key in ("node", "type", "resource", "error", "origin")}
    assert shown == {
        "node": "node-1",
        "type": "Cluster",
        "resource": "a",
        "error": "a is bad",
        "origin": "a.yaml:3",
    }
    told = plane.nodes.one("node-1")
    assert told is not None
    clusters = told["streams"][0]["types"]["Cluster"]
    (refusal,) = clusters["refusals"]
    assert (refusal["name"], refusal["error"], refusal["origin"]) == ("a", "a is bad", "a.yaml:3")
    (row,) = clusters["resources"]
    assert row["sent"] == row["nacked"] == res(C, "a", "bad").version
    assert row["acked"] == res(C, "a").version
    assert told["synced"] is False
    await publish(res(C, "a", "bad"), res(E, "x"))
    assert await heard(client) == []
    await publish(res(C, "a", "good"))
    response = await client.hear()
    assert response.type_url == C
    await client.ack(C)
    await until(lambda: plane.nodes.refused() == 0)


async def test_D11_versions_of_a_refused_delta_response_are_not_held(
    connect: Connect, publish: Publish, plane: ControlPlane
) -> None:
    await publish(res(E, "a"))
    client = connect()
    held = {resource.name: resource.version for resource in (await hold(client, E, "a", "b")).resources}
    assert held == {"a": res(E, "a").version}
    await publish(res(E, "a", " 2"), res(E, "b"))
    assert bodies(await client.hear()) == ["a 2", "b"]
    await client.nack(E, "a and b are bad")
    await until(lambda: told_of(plane, E)["nacked"] == 1)
    acked = {row["name"]: row["acked"] for row in told_of(plane, E)["resources"]}
    assert acked == {"a": held["a"], "b": None}
    # Back to what was accepted: the client may have half of what it refused, so it is told.
    await publish(res(E, "a"))
    response = await client.hear()
    assert bodies(response) == ["a"]
    assert list(response.removed_resources) == ["b"]
    await client.close()
    await publish(res(E, "a", " 2"), res(E, "b"))
    again = connect()
    await again.say(C)
    await again.hear()
    await again.say(E, "a", "b", held=held)
    assert bodies(await again.hear()) == ["a 2", "b"]


@VARIANTS
async def test_D13_a_nack_leaves_alone_who_accepted(connect: Connect, publish: Publish, variant: str) -> None:
    await publish(res(C, "a"), res(C, "b"))
    happy, strict = connect(variant, node="happy"), connect(variant, node="strict")
    for client in (happy, strict):
        await hold(client, C)
    for turn in range(3):
        await publish(res(C, "a", f" new {turn}"), res(C, "b"))
        for client in (happy, strict):
            assert f"a new {turn}" in bodies(await client.hear())
        await happy.ack(C)
        await strict.nack(C, "a is bad")
        assert await heard(happy) == []
        assert await heard(strict) == []
    await publish(res(C, "a", " new 2"), res(C, "b", " 2"))
    full = {"happy": ["a new 2", "b 2"], "strict": ["a", "b 2"]}
    for client in (happy, strict):
        expected = ["b 2"] if variant == "delta" else full[client.node[0]]
        assert bodies(await client.hear()) == expected
