"""Section B, where the real Envoy decides how often it says who it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.envoy_process import EnvoyProcess, free_port, wait_until
from tests.xds.conftest import Publish
from tests.xds.envoys import VARIANTS, Bootstrap, Traffic, off, synced
from tests.xds.simple_fleet import cluster, endpoints, listener, route, upstream
from xds_server.server import ControlPlane

pytestmark = pytest.mark.envoy


@VARIANTS
@pytest.mark.parametrize("once", [True, False], ids=["once", "always"])
async def test_B1_B11_an_envoy_that_says_who_it_is_once_or_always_is_served_alike(
    plane: ControlPlane, publish: Publish, bootstrap: Bootstrap, once: bool, tmp_path: Path
) -> None:
    configuration = bootstrap(plane.xds_port, gateway="edge", region="eu")
    configuration["dynamic_resources"]["ads_config"]["set_node_on_first_message_only"] = once
    port = free_port()
    with upstream("one") as one, upstream("two") as two:
        rest = [listener("front", port, "r"), route("r", "c"), cluster("c")]
        await publish(*rest, endpoints("c", one))
        with EnvoyProcess(configuration, tmp_path) as envoy:
            await off(envoy.wait_ready)
            with Traffic(port) as traffic:
                await off(traffic.wait, "one")
                await publish(*rest, endpoints("c", two))
                await off(traffic.wait, "two")
                await off(wait_until, lambda: synced(plane))
            assert traffic.bad == []
            assert envoy.stalls() == {}
        told = plane.nodes.one("node-1")
        assert told is not None
        assert all(each["nacked"] == 0 for each in told["streams"][0]["types"].values())
        assert len(plane.nodes.all()) == 1
