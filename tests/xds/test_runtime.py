"""A gateway's runtime values in the real Envoy: there at boot, and changed while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.compiler.test_compiler import Fleet
from tests.envoy_process import EnvoyProcess, free_port
from tests.graph import world as w
from xds_server.bootstrap import Streams, Variant, compile_bootstrap
from xds_server.server import ControlPlane

pytestmark = pytest.mark.envoy
_FLAG = "envoy.reloadable_features.no_extension_lookup_by_name"


def gateway(port: int, **more: Any) -> w.Manifest:
    listeners = [{"name": "run", "address": "127.0.0.1", "port": port}]
    return w.manifest("Gateway", "edge", {"listeners": listeners, **more})


async def off(function: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.to_thread(function, *arguments)


def value(envoy: EnvoyProcess, key: str) -> str | None:
    told = envoy.get("/runtime?format=json").json()["entries"].get(key)
    return None if told is None else str(told["final_value"])


@pytest.mark.parametrize("streams", ["ads", "per-type"])
@pytest.mark.parametrize("variant", ["delta", "sotw"])
async def test_M13_runtime_is_there_at_boot_and_changes_without_a_restart(
    plane: ControlPlane, variant: Variant, streams: Streams, tmp_path: Path
) -> None:
    fleet, port = Fleet(), free_port()
    rest = (w.issuer(), w.workspace(), w.model())
    bootstrap = compile_bootstrap(
        node="node-1",
        gateway="edge",
        region="eu-west-3",
        xds=("127.0.0.1", plane.xds_port),
        admin=("127.0.0.1", 0),
        variant=variant,
        streams=streams,
    )
    await plane.publish(fleet.compile(gateway(port, runtime={_FLAG: False, "text": "a b"}), *rest))
    with EnvoyProcess(bootstrap, tmp_path) as envoy:
        await off(envoy.wait_ready)
        assert await off(value, envoy, _FLAG) == "false"
        assert await off(value, envoy, "text") == "a b"
        await plane.publish(fleet.compile(gateway(port, runtime={_FLAG: True, "number": 1.5}), *rest))
        await off(envoy.wait, lambda: value(envoy, _FLAG) == "true", "the changed flag")
        assert await off(value, envoy, "text") is None
        assert await off(value, envoy, "number") == "1.5"
        await plane.publish(fleet.compile(gateway(port), *rest))
        await off(envoy.wait, lambda: value(envoy, _FLAG) is None, "no flag any more")
        assert await off(envoy.stalls) == {}
        moved = await off(envoy.stats, "listener_manager.listener_(modified|removed)")
        assert set(moved.values()) == {0}


async def test_M13_a_gateway_that_says_nothing_holds_no_envoy_back(
    plane: ControlPlane, tmp_path: Path
) -> None:
    port = free_port()
    await plane.publish(Fleet().compile(gateway(port), w.issuer(), w.workspace(), w.model()))
    bootstrap = compile_bootstrap(
        node="node-1",
        gateway="edge",
        region="eu-west-3",
        xds=("127.0.0.1", plane.xds_port),
        admin=("127.0.0.1", 0),
    )
    with EnvoyProcess(bootstrap, tmp_path) as envoy:
        await off(envoy.wait_ready)
        assert await off(envoy.stalls) == {}
        layers = (await off(envoy.get, "/runtime?format=json")).json()["layers"]
        assert layers == ["fairlead", "admin"]
