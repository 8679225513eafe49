"""What the real Envoy tells the server of its load."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.envoy_process import EnvoyProcess, delta_ads, free_port, wait_until
from tests.xds.envoys import Traffic, off
from tests.xds.simple_fleet import cluster, endpoints, listener, route
from xds_server.bootstrap import compile_bootstrap
from xds_server.protocol import Node
from xds_server.server import ControlPlane
from xds_server.server.load_reports import Load, Place
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


async def test_envoy_names_a_cluster_from_its_second_report_on_and_each_request_as_long_as_it_lasts(
    tmp_path: Path,
) -> None:
    """What overflows go by."""
    answer, port = asyncio.Event(), free_port()

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await answer.wait()
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    reports: list[tuple[bool, int, int]] = []

    def note(_: Node, rows: Sequence[tuple[Place, Load]], __: float, named: frozenset[str]) -> None:
        found = next((load for place, load in rows if place.cluster == "c1"), Load())
        reports.append(("c1" in named, found.issued, found.in_progress))

    upstream = await asyncio.start_server(take, "127.0.0.1", 0)
    endpoint = endpoints("c1", upstream.sockets[0].getsockname()[1])
    resources = [listener("front", port, "r"), route("r", "c1"), cluster("c1"), endpoint]
    plane = ControlPlane(xds_address="127.0.0.1:0", admin_address="127.0.0.1:0", load_interval=0.3)
    plane.loads.on_report = note
    async with plane, upstream:
        started = compile_bootstrap(
            node="one",
            gateway="edge",
            region="eu",
            xds=("127.0.0.1", plane.xds_port),
            admin=("127.0.0.1", 0),
            load_reports=True,
        )
        with EnvoyProcess(started, tmp_path) as envoy:
            await off(wait_until, lambda: len(reports) > 1, "reports of an Envoy that has nothing")
            assert {named for named, *_ in reports} == {False}
            await plane.publish(Catalogue(1, shared=layer(resources), gateways={"edge": {}}))
            await off(envoy.wait_ready)
            await off(wait_until, lambda: reports[-1][0], "the cluster is in a report")
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
            await off(wait_until, lambda: (True, 1, 1) in reports, "the request is new")
            seen = reports.index((True, 1, 1)) + 1
            await off(wait_until, lambda: len(reports) > seen + 2, "more reports")
            assert set(reports[seen:]) == {(True, 0, 1)}
            answer.set()
            await off(wait_until, lambda: reports[-1] == (True, 0, 0), "it is over")
            writer.close()
