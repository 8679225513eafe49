"""Section D, where the real Envoy decides what an answer means."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.envoy_process import EnvoyProcess, free_port, sotw_ads, wait_until
from tests.xds.conftest import Publish
from tests.xds.envoys import Traffic, off, synced
from tests.xds.simple_fleet import cluster, endpoints, listener, route, upstream
from xds_server.server import ControlPlane

pytestmark = pytest.mark.envoy


async def test_D8_clusters_are_acknowledged_when_they_are_warm_and_nothing_else_says_that_traffic_flows(
    plane: ControlPlane, publish: Publish, tmp_path: Path
) -> None:
    """In state of the world a missing name is not answered: Envoy's ACK waits for the new cluster's endpoints."""
    front = free_port()
    with upstream("one") as one, upstream("two") as two:
        old = [cluster("c1"), endpoints("c1", one)]
        await publish(listener("front", front, "r"), route("r", "c1"), *old)
        with EnvoyProcess(sotw_ads(plane.xds_port, gateway="edge", region="eu"), tmp_path) as envoy:
            await off(envoy.wait_ready)
            await off(wait_until, lambda: synced(plane))

            def clusters() -> dict:
                node = plane.nodes.one("node-1")
                assert node is not None
                return node["streams"][0]["types"]["Cluster"]

            with Traffic(front) as traffic:
                await off(traffic.wait, "one")
                await publish(listener("front", front, "r"), route("r", "c2"), *old, cluster("c2"))
                warming = "cluster_manager.warming_clusters"
                await off(envoy.wait, lambda: envoy.stats(warming)[warming] == 1, "c2 is warming")
                assert clusters()["in_flight"] is True
                # Nothing that needs it is sent meanwhile, and traffic goes on as before.
                before = len(traffic.answers)
                await off(wait_until, lambda: len(traffic.answers) > before + 20)
                assert {words for _, words in traffic.answers[before:]} == {"one"}
                assert clusters()["in_flight"] is True
                await publish(
                    listener("front", front, "r"), route("r", "c2"), *old, cluster("c2"), endpoints("c2", two)
                )
                await off(traffic.wait, "two")
                assert clusters()["in_flight"] is False
            assert traffic.bad == []
            assert envoy.stalls() == {}
