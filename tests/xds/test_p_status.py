"""Section P: what the server tells of its nodes."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
from structlog.testing import capture_logs

from tests.xds.conftest import Publish
from tests.xds.exchange import VARIANTS, C, Connect, E, L, bodies, hold, res, until
from tests.xds.policy_folder import CLUSTER, FLEET, following, model, wait_for
from xds_server.server import ControlPlane
from xds_server.snapshot import Resource


async def page(plane: ControlPlane, path: str) -> str:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        return (await client.get(f"http://127.0.0.1:{plane.admin_port}{path}")).text


async def metrics(plane: ControlPlane) -> dict[str, float]:
    """Samples by name and labels, as they are written."""
    lines = (await page(plane, "/metrics")).splitlines()
    pairs = (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    return {name: float(value) for name, value in pairs}


def row(plane: ControlPlane, type_name: str, name: str) -> dict[str, Any]:
    told = plane.nodes.one("node-1")
    assert told is not None
    found: dict[str, Any]
    (found,) = (each for each in told["streams"][0]["types"][type_name]["resources"] if each["name"] == name)
    return found


@VARIANTS
async def test_P3_pushes_and_answers_are_counted_by_type(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str
) -> None:
    await publish(res(C, "a"), res(L, "l"))
    client = connect(variant)
    await hold(client, C)
    await hold(client, L)
    await publish(res(C, "a", "2"), res(L, "l", "2"))
    for _ in range(2):
        await client.hear()
    await client.nack(C, "a is bad")
    await until(plane.nodes.refused)
    # Three more changes of the listener wait as one, while the one before them is not answered.
    for turn in range(3):
        await publish(res(C, "a", "2"), res(L, "l", f"3 {turn}"))
    await client.ack(L)
    assert bodies(await client.hear()) == ["l3 2"]
    told = await metrics(plane)

    def of(name: str, type_name: str) -> float:
        return told[f'fairlead_xds_{name}{{type="{type_name}"}}']

    assert (of("responses_total", "Cluster"), of("responses_total", "Listener")) == (2, 3)
    assert (of("accepted_total", "Cluster"), of("refused_total", "Cluster")) == (1, 1)
    assert of("accepted_total", "Listener") == 2
    assert of("answer_seconds_count", "Cluster") == 2
    assert of("resources_sent_total", "Listener") == 3
    assert of("response_bytes_total", "Listener") > 3 * len("l3 2")
    assert told[f'fairlead_xds_streams{{variant="{variant}"}}'] == 1
    assert told["fairlead_xds_nodes"] == 1
    assert told["fairlead_xds_refused_resources"] == 1


@VARIANTS
async def test_P6_it_is_told_which_generation_made_the_version_that_a_node_accepted_and_when(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str
) -> None:
    def state(turn: int) -> list[Resource]:
        return [res(C, "still"), res(C, "moving", str(turn))]

    client = connect(variant)
    await publish(*state(1))
    await hold(client, C)
    await until(lambda: row(plane, "Cluster", "moving")["acked"])
    before = row(plane, "Cluster", "moving")
    assert (before["acked_generation"], before["origin"]) == (1, "moving.yaml:3")
    await publish(*state(1))
    await publish(*state(3))
    await client.hear()
    assert row(plane, "Cluster", "moving")["acked_generation"] == 1, "not before it is acknowledged"
    await client.ack(C)
    await until(lambda: row(plane, "Cluster", "moving")["acked"] == res(C, "moving", "3").version)
    after = row(plane, "Cluster", "moving")
    assert after["acked_generation"] == 3
    times = [datetime.fromisoformat(each[key]) for each in (before, after) for key in ("sent_at", "acked_at")]
    assert times == sorted(times)
    still = row(plane, "Cluster", "still")
    assert (still["acked"], still["acked_generation"]) == (res(C, "still").version, 1)
    told = plane.nodes.one("node-1")
    assert told is not None
    assert told["streams"][0]["types"]["Cluster"]["last_acked"]["generation"] == 3


async def test_P6_a_generation_is_logged_with_its_time_and_a_version_leads_to_its_manifest(
    connect: Connect, plane: ControlPlane, tmp_path: Path
) -> None:
    (tmp_path / "fleet.yaml").write_text(FLEET)
    (tmp_path / "llama.yaml").write_text(model("llama", 1000))
    with capture_logs() as logged:
        async with following(tmp_path, plane):
            client = connect(region="eu-west-3")
            await hold(client, E, CLUSTER)
            (tmp_path / "llama.yaml").write_text(model("llama", 1001))
            await wait_for(client, 1001)
            await until(lambda: row(plane, "ClusterLoadAssignment", CLUSTER)["state"] == "acked")
            # The client may be quicker than the log.
            await until(lambda: len([each for each in logged if each["event"] == "published"]) > 1)
    found = row(plane, "ClusterLoadAssignment", CLUSTER)
    published = [entry["generation"] for entry in logged if entry["event"] == "published"]
    assert found["acked_generation"] == plane.readiness.generation
    assert found["acked_generation"] in published
    assert found["origin"].startswith(f"{tmp_path / 'llama.yaml'}:")
