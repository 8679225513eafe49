"""The real Envoy loses its server, and finds it or another one again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.envoy_process import EnvoyProcess, free_port, sotw_ads, wait_until
from tests.server.planes import serving
from tests.xds.envoys import VARIANTS, Bootstrap, Traffic, off, still, synced
from tests.xds.simple_fleet import cluster, endpoints, listener, route
from xds_server.protocol import Response, Timing
from xds_server.protocol import types as t
from xds_server.server import ControlPlane
from xds_server.server.session import Session
from xds_server.snapshot import Catalogue, Resource, layer

pytestmark = pytest.mark.envoy
Serve = Callable[..., Any]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Start a control plane with these resources on this port; all of them are stopped at the end."""
    async with AsyncExitStack() as stack:

        async def serve(port: int, generation: int, *resources: Resource, **options: Any) -> ControlPlane:
            plane = await stack.enter_async_context(
                serving(port, timing=Timing(cluster_grace=0.05), **options)
            )
            await plane.publish(Catalogue(generation, shared=layer(resources), gateways={"edge": {}}))
            return plane

        yield serve


def state(port: int, upstream_port: int, connect_timeout: str = "1s") -> list[Resource]:
    resources = [listener("front", port, "r"), route("r", "c1"), endpoints("c1", upstream_port)]
    return [*resources, cluster("c1", connect_timeout)]


def with_servers(bootstrap: dict[str, Any], *ports: int) -> dict[str, Any]:
    """A bootstrap that knows several servers, and tries those that follow when the first does not answer."""
    (known,) = bootstrap["static_resources"]["clusters"]
    known["load_assignment"]["endpoints"] = [
        {
            "priority": place,
            "lb_endpoints": [
                {"endpoint": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}}}
            ],
        }
        for place, port in enumerate(ports)
    ]
    # A server that cannot be reached is out at once, so that the next one is tried.
    known["outlier_detection"] = {
        "consecutive_local_origin_failure": 1,
        "split_external_local_origin_errors": True,
        "enforcing_consecutive_local_origin_failure": 100,
        "interval": "0.1s",
        "base_ejection_time": "0.5s",
        "max_ejection_percent": 100,
    }
    known["common_lb_config"] = {"healthy_panic_threshold": {"value": 0}}
    return bootstrap


@VARIANTS
async def test_H8_H10_H12_no_counter_moves_when_a_replica_takes_over_or_nobody_does(
    serve: Serve, bootstrap: Bootstrap, upstreams: tuple[int, int], tmp_path: Path
) -> None:
    port, here, there = free_port(), free_port(), free_port()
    resources = state(port, upstreams[0])
    first = await serve(here, 7, *resources)
    second = await serve(there, 1, *resources[::-1])
    started = with_servers(bootstrap(here, gateway="edge", region="eu"), here, there)
    with EnvoyProcess(started, tmp_path) as envoy:
        await off(envoy.wait_ready)
        await off(wait_until, lambda: synced(first))
        before = still(envoy)
        with Traffic(port) as traffic:
            await off(traffic.wait, "one")
            await first.stop(0)
            await off(envoy.wait, lambda: synced(second), "the other replica has taken over")
            await second.stop(0)
            connected = "control_plane.connected_state"
            await off(envoy.wait, lambda: envoy.stats(connected) == {connected: 0}, "there is no server")
            seen = len(traffic.answers)
            await off(wait_until, lambda: len(traffic.answers) > seen + 50, "traffic goes on")
            third = await serve(here, 2, *resources)
            await off(envoy.wait, lambda: synced(third), "the server is back")
            # The answer to a change is the proof that everything before it was taken.
            assert still(envoy) == before
            await third.publish(Catalogue(3, shared=layer(state(port, upstreams[1])), gateways={"edge": {}}))
            await off(traffic.wait, "two")
            assert still(envoy) == before
        assert traffic.bad == []
        assert envoy.stalls() == {}


@VARIANTS
async def test_A11_B11_streams_of_a_maximum_age_cost_nothing_though_the_node_comes_with_each_request(
    serve: Serve, bootstrap: Bootstrap, upstreams: tuple[int, int], tmp_path: Path
) -> None:
    port, xds = free_port(), free_port()
    plane = await serve(xds, 1, *state(port, upstreams[0]), max_stream_age=0.5)
    started = bootstrap(xds, gateway="edge", region="eu")
    started["dynamic_resources"]["ads_config"]["set_node_on_first_message_only"] = False
    with EnvoyProcess(started, tmp_path) as envoy:
        await off(envoy.wait_ready)
        await off(wait_until, lambda: synced(plane))
        before = still(envoy)
        with Traffic(port) as traffic:
            connections = "cluster.xds.upstream_cx_total"
            await off(envoy.wait, lambda: envoy.stats(connections)[connections] > 3, "three new streams")
            await off(wait_until, lambda: synced(plane))
            assert still(envoy) == before
            await plane.publish(Catalogue(2, shared=layer(state(port, upstreams[1])), gateways={"edge": {}}))
            await off(traffic.wait, "two")
        assert traffic.bad == []
        assert envoy.stalls() == {}


@VARIANTS
async def test_H4_H6_a_stream_lost_while_a_cluster_warms_does_not_stall_the_next_one(
    serve: Serve,
    bootstrap: Bootstrap,
    upstreams: tuple[int, int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, xds = free_port(), free_port()
    first = await serve(xds, 1, *state(port, upstreams[0]))
    with EnvoyProcess(bootstrap(xds, gateway="edge", region="eu"), tmp_path) as envoy:
        await off(envoy.wait_ready)
        await off(wait_until, lambda: synced(first))
        send = Session._send

        async def withhold(self: Session, response: Response, sink: Any) -> None:
            if response.type_url != t.ENDPOINT:
                await send(self, response, sink)

        # The changed cluster arrives, its endpoints do not, and then the stream breaks.
        with monkeypatch.context() as patched:
            patched.setattr(Session, "_send", withhold)
            changed = state(port, upstreams[0], "2s")
            await first.publish(Catalogue(2, shared=layer(changed), gateways={"edge": {}}))
            warming = "cluster_manager.warming_clusters"
            await off(envoy.wait, lambda: envoy.stats(warming) == {warming: 1}, "the cluster is warming")
            await first.stop(0)
        second = await serve(xds, 2, *changed)
        await off(envoy.wait, lambda: envoy.stats(warming) == {warming: 0}, "the cluster is warm")
        await off(envoy.wait, lambda: synced(second), "clusters are asked for again")
        assert envoy.stalls() == {}


def routes_asked(plane: ControlPlane) -> list[str] | None:
    """Which routes the Envoy asks for; `None` if it never spoke of routes on its stream."""
    told = plane.nodes.one("node-1")
    if told is None:
        return None
    found: dict[str, list[str]] = told["streams"][0]["types"].get("RouteConfiguration", {})
    return found.get("subscribed")


async def test_E6_an_envoy_that_has_no_use_for_routes_any_more_is_sent_none(
    serve: Serve, upstreams: tuple[int, int], tmp_path: Path
) -> None:
    port, xds = free_port(), free_port()
    resources = state(port, upstreams[0])
    first = await serve(xds, 1, *resources)
    with EnvoyProcess(sotw_ads(xds, gateway="edge", region="eu"), tmp_path, ("--drain-time-s", "0")) as envoy:
        await off(envoy.wait_ready)
        await first.publish(Catalogue(2, shared=layer(resources[1:]), gateways={"edge": {}}))
        await off(envoy.wait, lambda: routes_asked(first) == [], "nobody uses routes")
        await first.stop(0)
        second = await serve(xds, 2, *resources[1:])
        await off(envoy.wait, lambda: routes_asked(second) == [], "it says so to the next server")
        await off(envoy.wait, lambda: synced(second))
        assert second.metrics.responses.labels("RouteConfiguration")._value.get() == 0
        await second.publish(Catalogue(3, shared=layer(resources), gateways={"edge": {}}))
        with Traffic(port) as traffic:
            await off(traffic.wait, "one")
        assert envoy.stalls() == {}
