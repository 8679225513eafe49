"""CSDS over the wire, and `/nodes`: what each client was sent, took and refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from tests.server.planes import PATIENCE, C, boot, catalogue, cluster, get, message, serving, until
from tests.xds.raw_client import RawClient
from xds_server.protocol import types as t
from xds_server.server import ControlPlane

V3 = "envoy.service.status.v3."
SERVICE = "/" + V3 + "ClientStatusDiscoveryService/"
VARIANTS = pytest.mark.parametrize("variant", ["delta", "sotw"])


@pytest.fixture
async def plane() -> AsyncIterator[ControlPlane]:
    async with serving() as server:
        yield server


async def fetch(plane: ControlPlane, request: Any = None) -> dict[str, dict[tuple[str, str], Any]]:
    """Ask once; answers by node, short type and name."""
    asked = message(V3 + "ClientStatusRequest") if request is None else request
    async with grpc.aio.insecure_channel(f"127.0.0.1:{plane.xds_port}") as channel:
        call = channel.unary_unary(SERVICE + "FetchClientStatus")
        return by_node(await call(asked.SerializeToString(), timeout=PATIENCE))


def by_node(payload: bytes) -> dict[str, dict[tuple[str, str], Any]]:
    answer = message(V3 + "ClientStatusResponse", payload)
    return {
        config.node.id: {(t.short(each.type_url), each.name): each for each in config.generic_xds_configs}
        for config in answer.config
    }


def statuses(config: Any) -> tuple[str, str]:
    fields = config.DESCRIPTOR.fields_by_name
    return tuple(
        fields[name].enum_type.values_by_number[getattr(config, name)].name
        for name in ("config_status", "client_status")
    )


@VARIANTS
async def test_P2_each_status_of_a_resource(plane: ControlPlane, variant: str) -> None:
    early = RawClient(plane.xds_port, variant, node="early")
    await early.say(t.ROUTE, "r")
    await until(lambda: plane.nodes.one("early"))
    found = (await fetch(plane))["early"]["RouteConfiguration", "r"]
    assert statuses(found) == ("NOT_SENT", "REQUESTED")

    good = cluster("a")
    await plane.publish(catalogue(1, good, cluster("r", type_url=t.ROUTE)))
    await early.hear()
    found = (await fetch(plane))["early"]["RouteConfiguration", "r"]
    assert (*statuses(found), found.version_info) == ("STALE", "REQUESTED", "")
    assert found.xds_config.value == b"r"
    await early.ack(t.ROUTE, "r")

    client = RawClient(plane.xds_port, variant, node="one")
    await boot(client)
    await client.say(t.ENDPOINT, "missing")
    await until(lambda: t.short(t.ENDPOINT) in plane.nodes.one("one")["streams"][0]["types"])
    if variant == "delta":
        await client.hear()
    told = await fetch(plane)
    assert statuses(told["early"]["RouteConfiguration", "r"]) == ("SYNCED", "ACKED")
    found = told["one"]["Cluster", "a"]
    assert (*statuses(found), found.version_info) == ("SYNCED", "ACKED", good.version)
    assert (found.type_url, found.xds_config.type_url, found.xds_config.value) == (C, C, b"a")
    assert found.last_updated.seconds > 0
    assert not found.HasField("error_state")
    assert statuses(told["one"]["ClusterLoadAssignment", "missing"]) == ("NOT_SENT", "DOES_NOT_EXIST")

    bad = cluster("a", " spoilt")
    await plane.publish(catalogue(2, bad, cluster("r", type_url=t.ROUTE)))
    await client.hear()
    found = (await fetch(plane))["one"]["Cluster", "a"]
    assert (*statuses(found), found.version_info) == ("STALE", "ACKED", good.version)
    await client.nack(C, "a is spoilt goo.gle/debugonly")
    await until(plane.nodes.refused)
    found = (await fetch(plane))["one"]["Cluster", "a"]
    assert (*statuses(found), found.version_info) == ("ERROR", "NACKED", good.version)
    assert (found.error_state.version_info, found.error_state.details) == (bad.version, "a is spoilt")
    assert found.error_state.last_update_attempt.seconds > 0
    assert found.error_state.failed_configuration.value == b"a spoilt"

    await plane.publish(catalogue(3, cluster("a", " mended"), cluster("r", type_url=t.ROUTE)))
    await client.hear()
    await client.ack(C)
    await until(lambda: not plane.nodes.refused())
    found = (await fetch(plane))["one"]["Cluster", "a"]
    assert statuses(found) == ("SYNCED", "ACKED")
    assert not found.HasField("error_state")
    for each in (early, client):
        await each.close()
    await until(lambda: plane.nodes.connected() == 0)
    assert await fetch(plane) == {}


@VARIANTS
async def test_P2_M14_no_body_of_a_secret_is_ever_shown(plane: ControlPlane, variant: str) -> None:
    await plane.publish(catalogue(1, cluster("s", " key", t.SECRET), cluster("x", " key", t.SECRET)))
    client = RawClient(plane.xds_port, variant)
    await client.say(t.SECRET, "s")
    await client.hear()
    seen = [(await fetch(plane))["node-1"]["Secret", "s"]]
    await client.nack(t.SECRET, "s is bad", "s")
    await until(plane.nodes.refused)
    seen.append((await fetch(plane))["node-1"]["Secret", "s"])
    assert [statuses(each)[0] for each in seen] == ["STALE", "ERROR"]
    for each in seen:
        assert not each.HasField("xds_config")
        assert not each.error_state.HasField("failed_configuration")
        assert b"key" not in each.SerializeToString()
    assert "key" not in (await get(plane, "/nodes/node-1")).text
    await client.close()


async def test_P2_bodies_are_left_out_when_asked(plane: ControlPlane) -> None:
    await plane.publish(catalogue(1, cluster("a")))
    client = RawClient(plane.xds_port)
    await boot(client)
    await until(lambda: (plane.nodes.one("node-1") or {})["synced"])
    request = message(V3 + "ClientStatusRequest")
    request.exclude_resource_contents = True
    found = (await fetch(plane, request))["node-1"]["Cluster", "a"]
    assert not found.HasField("xds_config")
    assert found.version_info == cluster("a").version
    await client.close()


async def test_P2_a_stream_answers_each_question_about_the_nodes_it_is_about(plane: ControlPlane) -> None:
    await plane.publish(catalogue(1, cluster("a")))
    clients = [RawClient(plane.xds_port, node=name) for name in ("edge-1", "edge-2", "core-1")]
    for client in clients:
        await boot(client)
    await until(lambda: plane.nodes.connected() == 3)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{plane.xds_port}") as channel:
        call: Any = channel.stream_stream(SERVICE + "StreamClientStatus")()
        for matcher, value, wanted in (
            ("exact", "edge-2", ["edge-2"]),
            ("prefix", "edge-", ["edge-1", "edge-2"]),
            ("suffix", "-1", ["core-1", "edge-1"]),
            ("contains", "nobody", []),
        ):
            request = message(V3 + "ClientStatusRequest")
            setattr(request.node_matchers.add().node_id, matcher, value)
            await call.write(request.SerializeToString())
            assert list(by_node(await asyncio.wait_for(call.read(), PATIENCE))) == wanted
        request = message(V3 + "ClientStatusRequest")
        request.node_matchers.add().node_id.safe_regex.regex = "(a+)+"
        await call.write(request.SerializeToString())
        assert await asyncio.wait_for(call.code(), PATIENCE) == grpc.StatusCode.INVALID_ARGUMENT
        assert "(a+)+" in await call.details()
    for client in clients:
        await client.close()


async def test_P2_bytes_that_are_no_question_are_refused(plane: ControlPlane) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{plane.xds_port}") as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary(SERVICE + "FetchClientStatus")(b"\xff\xff", timeout=PATIENCE)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@VARIANTS
async def test_D9_the_page_of_a_node_tells_versions_times_words_and_manifest(
    plane: ControlPlane, variant: str
) -> None:
    good, bad = cluster("a"), cluster("a", " spoilt")
    await plane.publish(catalogue(1, good, cluster("b")))
    client = RawClient(plane.xds_port, variant, node="east/one")
    await boot(client)
    await until(lambda: plane.nodes.one("east/one")["synced"])
    await plane.publish(catalogue(2, bad, cluster("b")))
    await client.hear()
    await client.nack(C, "a is spoilt")
    await until(plane.nodes.refused)
    told = (await get(plane, "/nodes/east/one")).json()["streams"][0]["types"]["Cluster"]
    assert told["synced"] is False
    assert told["last_nacked"]["error"] == "a is spoilt"
    assert told["last_acked"]["at"] <= told["last_sent"]["at"] <= told["last_nacked"]["at"]
    rows = {row["name"]: row for row in told["resources"]}
    a = rows["a"]
    assert (a["state"], a["sent"], a["acked"], a["nacked"]) == (
        "nacked",
        bad.version,
        good.version,
        bad.version,
    )
    assert (a["error"], a["origin"]) == ("a is spoilt", "a.yaml:3")
    assert a["acked_at"] <= a["sent_at"] <= a["nacked_at"]
    assert rows["b"]["acked"] == cluster("b").version
    assert rows["b"]["nacked_at"] is None
    await client.close()
    await until(lambda: plane.nodes.connected() == 0)
    (short,) = (await get(plane, "/nodes")).json()["nodes"]
    assert short["connected"] is False
    assert "resources" not in short["streams"][0]["types"]["Cluster"]
    assert short["streams"][0]["types"]["Cluster"]["subscribed"] == "*"


async def test_P3_changes_that_join_others_not_yet_sent_are_counted(plane: ControlPlane) -> None:
    await plane.publish(catalogue(1, cluster("a")))
    client = RawClient(plane.xds_port)
    await client.say(C)
    await client.hear()
    for turn in (2, 3, 4):
        await plane.publish(catalogue(turn, cluster("a", f" {turn}")))
    # The first of the three had nothing to join.
    metrics = (await get(plane, "/metrics")).text
    assert 'fairlead_xds_coalesced_total{type="Cluster"} 2.0' in metrics
    assert "fairlead_xds_first_exchanges 1.0" in metrics
    assert "fairlead_xds_first_exchanges_waiting 0.0" in metrics
    await client.close()
