"""The real Envoy against the real server, in both variants."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.envoy_process import EnvoyProcess, free_port, wait_until
from tests.server.planes import serving
from tests.xds.conftest import Publish
from tests.xds.envoys import VARIANTS, Bootstrap, Traffic, off, synced
from tests.xds.simple_fleet import cluster, endpoints, listener, route
from xds_server.protocol import Timing
from xds_server.server import ControlPlane
from xds_server.snapshot import Catalogue, Resource, layer

pytestmark = pytest.mark.envoy


@VARIANTS
async def test_I1_I2_I4_J1_J2_J3_P1_three_generations_under_traffic_without_a_failure_or_a_stall(
    plane: ControlPlane, publish: Publish, bootstrap: Bootstrap, upstreams: tuple[int, int], tmp_path: Path
) -> None:
    one, two = upstreams
    port = free_port()
    front = listener("front", port, "r")
    await publish(front, route("r", "c1"), cluster("c1"), endpoints("c1", one))
    with EnvoyProcess(bootstrap(plane.xds_port, gateway="edge", region="eu"), tmp_path) as envoy:
        await off(envoy.wait_ready)
        with Traffic(port) as traffic:
            await off(traffic.wait, "one")
            # The route moves to a new cluster and the old one goes: make before break.
            await publish(front, route("r", "c2"), cluster("c2"), endpoints("c2", two))
            await off(traffic.wait, "two")
            await off(envoy.wait, lambda: "c1::" not in envoy.get("/clusters").text, "c1 is gone")
            # A cluster changes and its endpoints do not: they are sent again, or it would warm for 15 s.
            await publish(front, route("r", "c2"), cluster("c2", "2s"), endpoints("c2", two))
            await off(wait_until, lambda: synced(plane), "changed cluster acknowledged", 10)
            # Endpoints alone.
            await publish(front, route("r", "c2"), cluster("c2", "2s"), endpoints("c2", one))
            await off(traffic.wait, "one")
        assert traffic.bad == []
        assert envoy.stalls() == {}
        assert not any(envoy.stats("update_rejected").values())
        assert '"fairlead"' in envoy.get("/stats?filter=control_plane.identifier").text


@VARIANTS
async def test_H8_H10_a_restarted_server_changes_nothing_until_something_changed(
    bootstrap: Bootstrap, upstreams: tuple[int, int], tmp_path: Path
) -> None:
    one, two = upstreams
    port, xds = free_port(), free_port()

    def state(upstream_port: int) -> list[Resource]:
        resources = [listener("front", port, "r"), route("r", "c1"), cluster("c1"), cluster("c2")]
        return [*resources, endpoints("c1", upstream_port), endpoints("c2", two)]

    async with AsyncExitStack() as running:

        async def serve(generation: int, *resources: Resource) -> ControlPlane:
            plane = await running.enter_async_context(serving(xds, timing=Timing(cluster_grace=0.05)))
            await plane.publish(Catalogue(generation, shared=layer(resources), gateways={"edge": {}}))
            return plane

        first = await serve(1, *state(one))
        envoy = running.enter_context(EnvoyProcess(bootstrap(xds, gateway="edge", region="eu"), tmp_path))
        await off(envoy.wait_ready)
        with Traffic(port) as traffic:
            await off(traffic.wait, "one")
            await off(wait_until, lambda: synced(first))
            before = envoy.stats("(cluster|listener)_(added|modified|removed)")
            assert before["cluster_manager.cluster_added"] == 3
            await first.stop()
            second = await serve(1, *state(one))
            await off(wait_until, lambda: synced(second))
            # The answer to a change is the proof that everything before it was taken.
            await second.publish(Catalogue(2, shared=layer(state(two)), gateways={"edge": {}}))
            await off(traffic.wait, "two")
            assert envoy.stats("(cluster|listener)_(added|modified|removed)") == before
            await second.stop()
            await serve(9, *state(one))
            await off(traffic.wait, "one")
        assert traffic.bad == []
        assert envoy.stalls() == {}


@VARIANTS
async def test_D4_D9_D12_L3_N10_a_bad_listener_is_named_and_the_rest_moves_on(
    plane: ControlPlane, publish: Publish, bootstrap: Bootstrap, upstreams: tuple[int, int], tmp_path: Path
) -> None:
    one, two = upstreams
    port, other = free_port(), free_port()
    rest = [route("r", "c1"), cluster("c1"), endpoints("c1", one)]
    front = listener("front", port, "r")
    await publish(front, *rest)
    with EnvoyProcess(bootstrap(plane.xds_port, gateway="edge", region="eu"), tmp_path) as envoy:
        await off(envoy.wait_ready)
        bad = listener("spoilt", other, "r", address="not an address")
        good = listener("good", other, "r")
        await publish(front, bad, good, *rest)
        await off(wait_until, lambda: plane.nodes.refused() == 1, "one resource is refused")
        told = plane.nodes.one("node-1")
        assert told is not None
        (refusal,) = told["streams"][0]["types"]["Listener"]["refusals"]
        assert (refusal["name"], refusal["origin"]) == ("spoilt", "spoilt.yaml:1")
        assert "malformed IP address: not an address" in refusal["error"]
        with Traffic(other) as traffic:
            await off(traffic.wait, "one")
            await publish(front, bad, good, *rest[:2], endpoints("c1", two))
            await off(traffic.wait, "two")
        # No brake of Envoy's own is at work: what was refused is not sent again (N10).
        refused = "listener_manager.lds.update_rejected"
        assert envoy.stats(refused)[refused] == 1
        await publish(front, listener("spoilt", free_port(), "r"), good, *rest[:2], endpoints("c1", two))
        await off(wait_until, lambda: synced(plane), "the repaired listener is accepted")
        assert plane.nodes.refused() == 0
        await publish(front, good, *rest[:2], endpoints("c1", two))
        await off(
            envoy.wait,
            lambda: envoy.stats("total_listeners_active")["listener_manager.total_listeners_active"] == 2,
        )
        assert envoy.stalls() == {}


@VARIANTS
async def test_D10_the_accepted_half_of_a_refused_response_is_taken_back(
    plane: ControlPlane, publish: Publish, bootstrap: Bootstrap, upstreams: tuple[int, int], tmp_path: Path
) -> None:
    one, _ = upstreams
    rest = [route("r", "c1"), cluster("c1"), endpoints("c1", one), listener("front", free_port(), "r")]
    await publish(*rest)
    with EnvoyProcess(bootstrap(plane.xds_port, gateway="edge", region="eu"), tmp_path) as envoy:
        await off(envoy.wait_ready)
        await off(wait_until, lambda: synced(plane))
        bad = listener("spoilt", free_port(), "r", address="not an address")
        await publish(*rest, bad, listener("half", free_port(), "r"))
        active = "listener_manager.total_listeners_active"
        await off(envoy.wait, lambda: envoy.stats(active)[active] == 2, "the good half is live")
        await publish(*rest)
        await off(envoy.wait, lambda: envoy.stats(active)[active] == 1, "and is taken back")


@VARIANTS
async def test_F5_H10_envoy_that_comes_before_the_first_catalogue_is_served_when_it_is_there(
    plane: ControlPlane, publish: Publish, bootstrap: Bootstrap, upstreams: tuple[int, int], tmp_path: Path
) -> None:
    port = free_port()
    with EnvoyProcess(bootstrap(plane.xds_port, gateway="edge", region="eu"), tmp_path) as envoy:
        await off(envoy.wait, lambda: plane.nodes.one("node-1"), "Envoy is connected")
        await publish(
            listener("front", port, "r"), route("r", "c1"), cluster("c1"), endpoints("c1", upstreams[0])
        )
        await off(envoy.wait_ready)
        with Traffic(port) as traffic:
            await off(traffic.wait, "one")
        assert envoy.stalls() == {}
