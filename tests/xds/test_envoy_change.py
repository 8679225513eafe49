"""The real Envoy does no more than a change asks for."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from tests.envoy_process import EnvoyProcess, free_port, wait_until
from tests.xds.conftest import Publish
from tests.xds.envoys import VARIANTS, Bootstrap, Traffic, off, synced
from tests.xds.richer_fleet import front
from tests.xds.simple_fleet import cluster, endpoints, listener, route
from xds_server.server import ControlPlane
from xds_server.snapshot import Resource

pytestmark = pytest.mark.envoy
MODIFIED = "(cluster|listener)_modified$"


def parts(envoy: EnvoyProcess, part: str, key: str) -> dict[str, dict[str, Any]]:
    """A part of Envoy's configuration dump, by the names of what is in it."""
    (found,) = (each for each in envoy.config() if each["@type"].endswith(f".{part}"))
    return {(each.get("cluster") or each)["name"]: each for each in found[key]}


def versions(plane: ControlPlane, kind: str) -> dict[str, str]:
    """What the server says that the node has accepted."""
    told = plane.nodes.one("node-1")
    assert told is not None
    return {row["name"]: row["acked"] for row in told["streams"][0]["types"][kind]["resources"]}


@VARIANTS
async def test_J4_J5_P5_only_what_changed_is_touched_and_envoy_tells_the_same_as_the_server(
    plane: ControlPlane, publish: Publish, bootstrap: Bootstrap, upstreams: tuple[int, int], tmp_path: Path
) -> None:
    one, _ = upstreams
    port, other = free_port(), free_port()
    rest = [route("r", "c1"), *(endpoints(name, one) for name in ("c1", "c2", "c3"))]
    untouched = [listener("other", other, "r"), cluster("c2"), cluster("c3")]
    await publish(*rest, *untouched, listener("front", port, "r"), cluster("c1"))
    with EnvoyProcess(bootstrap(plane.xds_port, gateway="edge", region="eu"), tmp_path) as envoy:
        await off(envoy.wait_ready)
        await off(wait_until, lambda: synced(plane))
        before = envoy.stats(MODIFIED)
        await publish(*rest, *untouched, listener("front", port, "r"), cluster("c1", "2s"))
        await off(wait_until, lambda: synced(plane))
        moved = free_port()
        await publish(*rest, *untouched, listener("front", moved, "r"), cluster("c1", "2s"))
        await off(wait_until, lambda: synced(plane))
        # The changed listener has its routes without a resend.
        with Traffic(moved) as traffic:
            await off(traffic.wait, "one")
        assert traffic.bad == []
        after = envoy.stats(MODIFIED)
        assert {name: after[name] - before[name] for name in after} == {
            "cluster_manager.cluster_modified": 1,
            "listener_manager.listener_modified": 1,
        }
        clusters = parts(envoy, "ClustersConfigDump", "dynamic_active_clusters")
        listeners = parts(envoy, "ListenersConfigDump", "dynamic_listeners")
        said = {name: each["version_info"] for name, each in clusters.items()}
        said |= {name: each["active_state"]["version_info"] for name, each in listeners.items()}
        ours = versions(plane, "Cluster") | versions(plane, "Listener")
        assert said.keys() == ours.keys() == {"c1", "c2", "c3", "front", "other"}
        if plane.nodes.one("node-1")["streams"][0]["variant"] == "delta":  # type: ignore[index]
            assert said == ours
        rejected = envoy.stats("update_rejected")
        assert rejected
        assert not any(rejected.values())
        assert envoy.stalls() == {}


@VARIANTS
async def test_N3_N4_many_changes_while_envoy_is_stopped_are_few_updates_and_end_at_the_last(
    plane: ControlPlane, publish: Publish, bootstrap: Bootstrap, upstreams: tuple[int, int], tmp_path: Path
) -> None:
    one, two = upstreams
    port = free_port()
    rest = [listener("front", port, "r"), route("r", "c1")]
    await publish(*rest, endpoints("c1", one), cluster("c1"))
    with EnvoyProcess(bootstrap(plane.xds_port, gateway="edge", region="eu"), tmp_path) as envoy:
        await off(envoy.wait_ready)
        await off(wait_until, lambda: synced(plane))
        count = "cluster_manager.cds.update_success"
        before = envoy.stats(count)[count]
        os.kill(envoy.pid, signal.SIGSTOP)
        try:
            for turn in range(1, 501):
                await publish(*rest, endpoints("c1", (one, two)[turn % 2]), cluster("c1", f"{turn}s"))
        finally:
            os.kill(envoy.pid, signal.SIGCONT)
        await off(wait_until, lambda: synced(plane))
        assert envoy.stats(count)[count] - before <= 2, "what was on its way, and the last"
        (found,) = parts(envoy, "ClustersConfigDump", "dynamic_active_clusters").values()
        assert found["cluster"]["connect_timeout"] == "500s"
        with Traffic(port) as traffic:
            await off(traffic.wait, "one")
        assert traffic.bad == []
        assert envoy.stalls() == {}


@VARIANTS
async def test_I8_a_listener_with_routes_inside_is_never_refused_for_a_cluster_that_is_late(
    plane: ControlPlane, publish: Publish, bootstrap: Bootstrap, upstreams: tuple[int, int], tmp_path: Path
) -> None:
    port = free_port()

    def inline(name: str) -> Resource:
        host = {
            "name": "all",
            "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": name}}],
        }
        inside = {"route_config": {"name": "r", "virtual_hosts": [host], "validate_clusters": True}}
        made = front("front", port, **inside)
        return Resource.of(made.type_url, made.name, made.body, needs=(name,))

    await publish(inline("c1"), cluster("c1"), endpoints("c1", upstreams[0]))
    with EnvoyProcess(bootstrap(plane.xds_port, gateway="edge", region="eu"), tmp_path) as envoy:
        await off(envoy.wait_ready)
        with Traffic(port) as traffic:
            await off(traffic.wait, "one")
            await publish(inline("c2"), cluster("c2"), endpoints("c2", upstreams[1]))
            await off(envoy.wait, lambda: "c1::" not in envoy.get("/clusters").text, "c1 is gone")
        with Traffic(port) as traffic:
            await off(traffic.wait, "two")
        refused = "listener_manager.lds.update_rejected"
        assert envoy.stats(refused) == {refused: 0}
        assert envoy.stalls() == {}
