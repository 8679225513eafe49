"""What the real Envoy tells the server of its load."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.envoy_process import EnvoyProcess, delta_ads, free_port, wait_until
from tests.xds.envoys import Traffic, off
from tests.xds.simple_fleet import cluster, endpoints, listener, route
from xds_server.server import ControlPlane
from xds_server.snapshot import Catalogue, layer

pytestmark = pytest.mark.envoy


async def test_P4_B9_envoy_reports_the_load_of_all_clusters(
    upstreams: tuple[int, int], tmp_path: Path
) -> None:
    port = free_port()
    resources = [listener("front", port, "r"), route("r", "c1"), cluster("c1"), endpoints("c1", upstreams[0])]
    plane = ControlPlane(xds_address="127.0.0.1:0", admin_address="127.0.0.1:0", load_interval=0.2)
    async with plane:
        await plane.publish(Catalogue(1, shared=layer(resources), gateways={"edge": {}}))
        started = delta_ads(plane.xds_port, gateway="edge", region="eu")
        source = {
            "api_type": "GRPC",
            "transport_api_version": "V3",
            "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
        }
        started["cluster_manager"] = {"load_stats_config": source}
        with EnvoyProcess(started, tmp_path) as envoy:
            await off(envoy.wait_ready)

            def reported() -> list[str | None]:
                return [each["reported"] for each in plane.loads.describe()["nodes"]]

            def succeeded() -> int:
                found: int = plane.loads.describe()["clusters"].get("c1", {}).get("succeeded", 0)
                return found

            # What comes before Envoy follows a cluster is never reported.
            with Traffic(port):
                await off(wait_until, lambda: succeeded() > 0, "the cluster is in a report")
            for _ in range(2):
                last = reported()
                await off(wait_until, lambda last=last: reported() != last, "another report")
            before = succeeded()
            with Traffic(port) as traffic:
                await off(wait_until, lambda: len(traffic.answers) > 50, "some requests")
            assert traffic.bad == []
            await off(
                wait_until, lambda: succeeded() - before == len(traffic.answers), "all of them, each once"
            )
            (node,) = plane.loads.describe()["nodes"]
            assert (node["id"], node["gateway"], node["connected"]) == ("node-1", "edge", True)
