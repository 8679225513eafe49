from __future__ import annotations

import asyncio
import io
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import grpc
import grpc.aio
import httpx
import pytest
import structlog
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.envoy_process import free_port
from tests.xds.conftest import Publish
from tests.xds.raw_client import RawClient
from xds_server.protocol import types as t
from xds_server.server import ControlPlane, PortTaken, configure
from xds_server.server.port import bind, split
from xds_server.snapshot import Resource

Connect = Callable[..., RawClient]
C = t.CLUSTER


async def get(plane: ControlPlane, path: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
        return await client.get(f"http://127.0.0.1:{plane.admin_port}{path}")


async def health(plane: ControlPlane) -> int:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{plane.xds_port}") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        status: int = (await stub.Check(health_pb2.HealthCheckRequest())).status
        return status


async def test_F5_ready_and_healthy_only_from_the_first_catalogue_on(
    plane: ControlPlane, publish: Publish
) -> None:
    assert (await get(plane, "/healthz")).status_code == 200
    before = await get(plane, "/readyz")
    assert before.status_code == 503
    assert before.json()["reasons"] == ["no configuration has been loaded yet"]
    assert await health(plane) == health_pb2.HealthCheckResponse.NOT_SERVING
    await publish()
    after = await get(plane, "/readyz")
    assert after.status_code == 200
    assert after.json() == {"ready": True, "generation": 1, "reasons": [], "problems": {}}
    assert await health(plane) == health_pb2.HealthCheckResponse.SERVING


async def test_a_problem_is_shown_and_does_not_take_readiness_away(
    plane: ControlPlane, publish: Publish
) -> None:
    await publish()
    plane.readiness.note("policies", "acme has errors; its last good state is served")
    shown = await get(plane, "/readyz")
    assert shown.status_code == 200
    assert shown.json()["problems"] == {"policies": "acme has errors; its last good state is served"}
    plane.readiness.note("policies", None)
    assert (await get(plane, "/readyz")).json()["problems"] == {}


async def test_D9_P3_nodes_and_metrics(plane: ControlPlane, publish: Publish, connect: Connect) -> None:
    await publish(Resource.of(C, "a", b"1", origin="a.yaml:3"))
    client = connect(node="east/one")
    await client.say(C)
    await client.hear()
    await client.ack(C)
    await client.say("type.googleapis.com/made.up.Type", "x")
    await client.hear()
    await publish(Resource.of(C, "a", b"2", origin="a.yaml:3"))
    await client.hear()
    await client.nack(C, "a is bad")
    async with asyncio.timeout(20):
        while not plane.nodes.refused():
            await asyncio.sleep(0.005)
    everyone = (await get(plane, "/nodes")).json()
    assert everyone["generation"] == 2
    (node,) = everyone["nodes"]
    assert (node["id"], node["gateway"], node["region"]) == ("east/one", "edge", "eu")
    cluster = node["streams"][0]["types"]["Cluster"]
    assert (cluster["subscribed"], cluster["acked"], cluster["nacked"]) == ("*", 1, 1)
    assert "resources" not in cluster
    assert cluster["refusals"][0]["origin"] == "a.yaml:3"
    one = (await get(plane, "/nodes/east/one")).json()
    assert one["streams"][0]["types"]["Cluster"]["resources"][0]["name"] == "a"
    assert (await get(plane, "/nodes/nobody")).status_code == 404
    metrics = (await get(plane, "/metrics")).text
    for line in (
        'fairlead_xds_streams{variant="delta"} 1.0',
        'fairlead_xds_responses_total{type="Cluster"} 2.0',
        'fairlead_xds_accepted_total{type="Cluster"} 1.0',
        'fairlead_xds_refused_total{type="Cluster"} 1.0',
        'fairlead_xds_answer_seconds_count{type="Cluster"} 2.0',
        'fairlead_catalogue_resources{type="Cluster"} 1.0',
        'fairlead_xds_requests_total{type="other"} 1.0',
        "fairlead_catalogue_generation 2.0",
        "fairlead_xds_nodes 1.0",
        "fairlead_xds_refused_resources 1.0",
    ):
        assert line in metrics
    assert "made.up" not in metrics


@pytest.mark.parametrize("which", ["xds", "admin"])
async def test_a_taken_port_is_named_with_a_remedy_and_nothing_stays_open(which: str) -> None:
    free = free_port()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        addresses = {"xds": f"127.0.0.1:{free}", "admin": f"127.0.0.1:{free}"} | {which: taken}
        if which == "admin":
            addresses["xds"] = "127.0.0.1:0"
        plane = ControlPlane(xds_address=addresses["xds"], admin_address=addresses["admin"])
        with pytest.raises(PortTaken, match=re.escape(taken)) as caught:
            await plane.start()
        assert caught.value.address == taken
        assert "ss -ltnp" in caught.value.remedy
        bind(f"127.0.0.1:{free}", "the free one").close()


async def test_two_control_planes_do_not_share_a_port(plane: ControlPlane) -> None:
    with pytest.raises(PortTaken):
        await ControlPlane(xds_address=f"127.0.0.1:{plane.xds_port}", admin_address="127.0.0.1:0").start()


@pytest.mark.parametrize("address", ["here", "here:", ":1", "h:99999", "h:-1", "h:x"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match="not host:port"):
        split(address)


def test_addresses() -> None:
    assert split("[::1]:80") == ("::1", 80)
    assert split("0.0.0.0:18000") == ("0.0.0.0", 18000)


async def test_stop_ends_streams_in_order_and_frees_the_ports(plane: ControlPlane, publish: Publish) -> None:
    await publish(Resource.of(C, "a", b"1"))
    client = RawClient(plane.xds_port)
    await client.say(C)
    await client.hear()
    await plane.stop(5)
    assert await client.status() == grpc.StatusCode.OK
    await client.close()
    for port in (plane.xds_port, plane.admin_port):
        bind(f"127.0.0.1:{port}", "again").close()
    await plane.stop()
    again = ControlPlane(
        xds_address=f"127.0.0.1:{plane.xds_port}", admin_address=f"127.0.0.1:{plane.admin_port}"
    )
    await again.start()
    await again.stop()


async def test_stop_without_start_is_nothing() -> None:
    await ControlPlane().stop()


def test_signals_are_left_to_the_command(tmp_path: Path) -> None:
    """uvicorn would take them over."""
    code = """
import asyncio, os, signal
from xds_server.server import ControlPlane, configure
async def main():
    configure()
    signal.signal(signal.SIGTERM, lambda *_: print("mine", flush=True))
    async with ControlPlane(xds_address="127.0.0.1:0", admin_address="127.0.0.1:0") as plane:
        reader, writer = await asyncio.open_connection("127.0.0.1", plane.admin_port)
        writer.write(b"GET /healthz HTTP/1.0\\r\\n\\r\\n")
        await reader.read()
        os.kill(os.getpid(), signal.SIGTERM)
        writer.close()
asyncio.run(main())
print("ended", flush=True)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "mine\nended\n"), done.stderr


def test_logs_are_json_where_nobody_looks() -> None:
    stream = io.StringIO()
    try:
        configure("info", stream=stream)
        structlog.get_logger("x").info("hello", node="n")
        structlog.get_logger("x").debug("too fine")
        try:
            raise RuntimeError("broken")
        except RuntimeError:
            structlog.get_logger("x").exception("oh")
    finally:
        structlog.reset_defaults()
    hello, oh = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert (hello["event"], hello["node"], hello["level"]) == ("hello", "n", "info")
    assert oh["exception"][0]["exc_value"] == "broken"


def test_logs_are_words_on_a_terminal() -> None:
    stream = io.StringIO()
    try:
        configure("debug", stream=stream, as_json=False)
        structlog.get_logger("x").debug("hello", node="n")
    finally:
        structlog.reset_defaults()
    assert "hello" in stream.getvalue()
    assert not stream.getvalue().startswith("{")


def test_an_unknown_log_level_is_refused() -> None:
    with pytest.raises(ValueError, match="not a log level"):
        configure("loud")


@pytest.mark.parametrize("json", [True, False])
def test_a_traceback_in_the_log_tells_no_local_variables(json: bool) -> None:
    """Among them would be the private keys of listeners."""
    stream = io.StringIO()
    try:
        configure(stream=stream, as_json=json)
        private_key = "BEGIN " + "PRIVATE KEY"
        try:
            raise ValueError(len(private_key))
        except ValueError:
            structlog.get_logger("test").exception("it broke")
    finally:
        structlog.reset_defaults()
    assert "it broke" in stream.getvalue()
    assert "ValueError" in stream.getvalue()
    assert private_key not in stream.getvalue()
