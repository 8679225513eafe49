"""The real Envoy, with the bootstrap that the command prints: over mTLS, and reporting its load."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.envoy_process import EnvoyProcess, free_port, wait_until
from tests.server.planes import catalogue, serving
from tests.xds.simple_fleet import cluster, endpoints, listener, resource, route, upstream
from tests.xds.test_tls import SERVER, Party
from xds_server.cli.member import Member, Variant
from xds_server.snapshot import Resource

pytestmark = pytest.mark.envoy
VARIANTS = pytest.mark.parametrize("variant", list(Variant))


def fleet(port: int, backend: int) -> list[Resource]:
    runtime = resource("fairlead", "envoy.service.runtime.v3.Runtime", {"name": "fairlead"})
    front = [listener("front", port, "r"), route("r", "c1"), cluster("c1"), endpoints("c1", backend)]
    return [runtime, *front]


def member(port: int, variant: Variant, **options: Any) -> dict[str, Any]:
    return Member(
        gateway="edge", region="eu", xds=("127.0.0.1", port), node="n", variant=variant, **options
    ).bootstrap()


@VARIANTS
async def test_B10_an_envoy_with_a_members_certificate_is_admitted_and_another_is_refused(
    variant: Variant, tmp_path: Path, logged: list[dict[str, Any]]
) -> None:
    party = Party(tmp_path / "tls")

    def trust(san: str) -> dict[str, Any]:
        shown = party.write(f"{san}.pem", party.certificates.chain(san))
        key, ca = party.folder / "key.pem", party.folder / "ca.pem"
        return {"xds_ca": ca, "xds_certificate": shown, "xds_key": key, "xds_sni": SERVER}

    with upstream("hello") as backend:
        async with serving(tls=party.tls()) as plane:
            port = free_port()
            await plane.publish(catalogue(1, *fleet(port, backend)))
            with (
                EnvoyProcess(member(plane.xds_port, variant, **trust("edge")), tmp_path / "good") as good,
                EnvoyProcess(member(plane.xds_port, variant, **trust("other")), tmp_path / "bad") as bad,
            ):
                await asyncio.to_thread(good.wait_ready)
                answer = await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{port}/", trust_env=False)
                assert answer.text == "hello"
                words = "the client certificate (other) is not of a member of gateway edge"
                await asyncio.to_thread(bad.wait, lambda: words in bad.log, "the refusal is in Envoy's log")
                assert bad.stats("listener_manager.total_listeners_active") == {
                    "listener_manager.total_listeners_active": 0
                }
                assert (
                    bad.stats("cluster_manager.cds.update_success")["cluster_manager.cds.update_success"] == 0
                )
            assert {each["peer"] for each in logged if each["log_level"] == "warning"} == {"other"}


@VARIANTS
async def test_P4_B9_an_envoy_reports_the_load_of_its_clusters(variant: Variant, tmp_path: Path) -> None:
    with upstream("hello") as backend:
        async with serving(load_interval=0.2) as plane:
            port = free_port()
            await plane.publish(catalogue(1, *fleet(port, backend)))
            with EnvoyProcess(member(plane.xds_port, variant, load_reports=True), tmp_path) as envoy:
                await asyncio.to_thread(envoy.wait_ready)

                def reported() -> str:
                    """When it reported last: with the second report it has begun to count."""
                    nodes = plane.loads.describe()["nodes"]
                    return str(nodes[0]["reported"]) if nodes else ""

                await asyncio.to_thread(envoy.wait, reported, "Envoy is there")
                first = reported()
                await asyncio.to_thread(envoy.wait, lambda: reported() != first, "Envoy counts its load")

                def ask() -> None:
                    with httpx.Client(trust_env=False, timeout=20) as client:
                        for _ in range(7):
                            assert client.get(f"http://127.0.0.1:{port}/").status_code == 200

                def succeeded() -> int:
                    told: dict[str, Any] = plane.loads.describe()["clusters"].get("c1", {})
                    found: int = told.get("succeeded", 0)
                    return found

                await asyncio.to_thread(ask)
                await asyncio.to_thread(wait_until, lambda: succeeded() == 7, "seven requests are reported")
            (node,) = plane.loads.describe()["nodes"]
            assert (node["id"], node["gateway"], node["region"]) == ("n", "edge", "eu")
