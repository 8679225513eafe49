from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import grpc
import pytest

from tests.xds.conftest import Publish
from tests.xds.raw_client import RawClient, names
from xds_server.protocol import types as t
from xds_server.server import ControlPlane
from xds_server.snapshot import Catalogue, Resource, layer

T, C, E, S, X, L, P, R = t.ORDER
Connect = Callable[..., RawClient]
VARIANTS = pytest.mark.parametrize("variant", ["delta", "sotw"])
PATIENCE = 20.0


def res(type_url: str, name: str, body: str = "", needs: tuple[str, ...] = ()) -> Resource:
    """A resource whose body is its name, or the name and something."""
    return Resource.of(type_url, name, f"{name}{body}".encode(), origin=f"{name}.yaml:3", needs=needs)


async def until(condition: Callable[[], Any]) -> Any:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.005)
        return condition()


async def silence(client: RawClient, type_url: str = "type.googleapis.com/probe") -> None:
    """Prove that nothing is on its way: the next thing heard is the answer to a question asked now."""
    if client.variant == "delta":
        await client.say(type_url, "nothing of this name")
        response = await client.hear()
        assert response.type_url == type_url
        await client.ack(type_url)
    else:
        await client.say(L, "nothing of this name")
        response = await client.hear()
        assert response.type_url == L


@VARIANTS
async def test_A1_boot_update_removal(connect: Connect, publish: Publish, variant: str) -> None:
    await publish(res(C, "a"), res(C, "b"), res(E, "a"))
    client = connect(variant)
    await client.say(C)
    first = await client.hear()
    assert names(first) == ["a", "b"]
    assert first.control_plane.identifier == "fairlead"
    await client.say(E, "a")
    assert names(await client.hear()) == ["a"]
    await client.ack(C)
    await client.ack(E, "a")
    await publish(res(C, "a"), res(C, "b", "2"), res(E, "a"))
    second = await client.hear()
    assert second.nonce != first.nonce
    assert names(second) == (["b"] if variant == "delta" else ["a", "b2"])
    await client.ack(C)
    await publish(res(C, "a"), res(E, "a"))
    third = await client.hear()
    if variant == "delta":
        assert (names(third), list(third.removed_resources)) == ([], ["b"])
    else:
        assert names(third) == ["a"]


@VARIANTS
async def test_F5_H9_nothing_is_sent_before_the_first_catalogue(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str
) -> None:
    client = connect(variant)
    await client.say(C)
    await until(lambda: plane.nodes.one("node-1"))
    assert plane.metrics.responses.labels("Cluster")._value.get() == 0
    await publish(res(C, "a"))
    assert names(await client.hear()) == ["a"]


@VARIANTS
async def test_F6_an_empty_catalogue_is_told_at_once(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish()
    client = connect(variant)
    await client.say(C)
    assert names(await client.hear()) == []


@VARIANTS
async def test_I1_I2_I3_order_of_a_change(connect: Connect, publish: Publish, variant: str) -> None:
    old = [res(C, "a"), res(E, "a"), res(L, "l"), res(R, "r", "->a", needs=("a",))]
    await publish(*old)
    client = connect(variant)
    for type_url, asked in [(C, ()), (E, ("a",)), (L, ()), (R, ("r",))]:
        await client.say(type_url, *asked)
        assert (await client.hear()).type_url == type_url
        await client.ack(type_url, *asked)
    await publish(*old[:2], res(C, "b"), res(E, "b"), res(L, "l", "2"), res(R, "r", "->b", needs=("b",)))
    assert [(await client.hear()).type_url for _ in range(2)] == [C, L]
    await client.say(E, *(("b",) if variant == "delta" else ("a", "b")), **nonce(client, E))
    assert (await client.hear()).type_url == E
    await client.ack(C)
    routes = await client.hear()
    assert routes.type_url == R


def nonce(client: RawClient, type_url: str) -> dict[str, Any]:
    return {} if client.variant == "delta" else {"nonce": client.nonces[type_url]}


async def test_H1_reconnect_sends_only_what_changed(connect: Connect, publish: Publish) -> None:
    kept, changed = res(C, "kept"), res(C, "changed")
    await publish(kept, changed)
    first = connect()
    await first.say(C)
    held = {resource.name: resource.version for resource in (await first.hear()).resources}
    await first.ack(C)
    await first.close()
    await publish(kept, res(C, "changed", "2"), res(C, "new"))
    second = connect()
    await second.say(C, held={**held, "gone": "1"})
    response = await second.hear()
    assert names(response) == ["changed", "new"]
    await second.ack(C)
    assert list((await second.hear()).removed_resources) == ["gone"]


async def test_H8_H12_another_server_with_the_same_catalogue_sends_nothing(
    connect: Connect, publish: Publish
) -> None:
    await publish(res(C, "a"), res(L, "l"))
    first = connect()
    held = {}
    for type_url in (C, L):
        await first.say(type_url)
        held[type_url] = {r.name: r.version for r in (await first.hear()).resources}
        await first.ack(type_url)
    other = ControlPlane(xds_address="127.0.0.1:0", admin_address="127.0.0.1:0")
    async with other:
        await other.publish(Catalogue(99, shared=layer([res(L, "l"), res(C, "a")]), gateways={"edge": {}}))
        second = RawClient(other.xds_port)
        for type_url in (C, L):
            await second.say(type_url, held=held[type_url])
        await silence(second)
        await second.close()


async def test_H12_F11_a_sotw_client_that_comes_back_with_the_current_version_hears_nothing(
    connect: Connect, publish: Publish
) -> None:
    await publish(res(C, "a"))
    first = connect("sotw")
    await first.say(C)
    version = (await first.hear()).version_info
    await first.ack(C)
    await first.close()
    second = connect("sotw")
    await second.say(C, version=version)
    await silence(second)


@VARIANTS
async def test_D3_D9_L3_a_refusal_is_kept_logged_and_shown_and_not_repeated(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str, logged: list[dict[str, Any]]
) -> None:
    await publish(res(C, "a"))
    client = connect(variant)
    await client.say(C)
    await client.hear()
    await client.ack(C)
    await publish(res(C, "a", "bad"))
    await client.hear()
    await client.nack(C, "a is  bad goo.gle/debugonly")
    await until(plane.nodes.refused)
    (entry,) = [entry for entry in logged if "NACK" in entry["event"]]
    assert entry["log_level"] == "warning"
    shown = {key: entry[key] for key in ("node", "type", "resource", "error", "origin")}
    assert shown == {
        "node": "node-1",
        "type": "Cluster",
        "resource": "a",
        "error": "a is bad",
        "origin": "a.yaml:3",
    }
    told = plane.nodes.one("node-1")
    assert told is not None
    clusters = told["streams"][0]["types"]["Cluster"]
    (refusal,) = clusters["refusals"]
    assert (refusal["name"], refusal["error"], refusal["origin"]) == ("a", "a is bad", "a.yaml:3")
    (row,) = clusters["resources"]
    assert row["sent"] == row["nacked"] == res(C, "a", "bad").version
    assert row["acked"] == res(C, "a").version
    assert told["synced"] is False
    await publish(res(C, "a", "bad"), res(E, "x"))
    await silence(client)
    await publish(res(C, "a", "good"))
    response = await client.hear()
    assert response.type_url == C
    await client.ack(C)
    await until(lambda: plane.nodes.refused() == 0)


@VARIANTS
async def test_B3_a_first_request_without_node_closes_the_stream(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"))
    client = connect(variant)
    client.met = True
    await client.say(C)
    assert await client.status() == grpc.StatusCode.INVALID_ARGUMENT


@VARIANTS
async def test_B1_B2_node_on_the_first_request_of_any_type_is_remembered(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"), res(E, "a"))
    client = connect(variant)
    await client.say(E, "a")
    assert names(await client.hear()) == ["a"]
    await client.say(C)
    assert names(await client.hear()) == ["a"]


async def test_B4_B11_a_repeated_node_is_accepted_and_a_new_region_is_followed(
    connect: Connect, publish: Publish
) -> None:
    def regional(region: str) -> Any:
        return layer([res(E, "a", f" in {region}")])

    await publish(regional=regional)
    client = connect("sotw", region="eu")
    await client.say(E, "a")
    assert names(await client.hear()) == ["a in eu"]
    client.met, client.node = False, ("node-1", "edge", "us")
    await client.ack(E, "a")
    assert names(await client.hear()) == ["a in us"]


async def test_B5_another_node_id_on_the_stream_closes_it(connect: Connect, publish: Publish) -> None:
    await publish(res(C, "a"))
    client = connect()
    await client.say(C)
    await client.hear()
    client.met, client.node = False, ("node-2", "edge", "eu")
    await client.ack(C)
    assert await client.status() == grpc.StatusCode.INVALID_ARGUMENT


async def test_B6_streams_of_the_same_node_are_independent(connect: Connect, publish: Publish) -> None:
    await publish(res(C, "a"))
    one, other = connect(), connect()
    for client in (one, other):
        await client.say(C)
        assert names(await client.hear()) == ["a"]
    await one.ack(C)
    await publish(res(C, "a", "2"))
    assert names(await one.hear()) == ["a"]
    assert one.nonces[C] != other.nonces[C]


async def test_B7_an_unknown_gateway_is_told_in_the_log_and_served_once_declared(
    connect: Connect, publish: Publish, logged: list[dict[str, Any]]
) -> None:
    await publish(res(C, "a"))
    client = connect(gateway="inner")
    await client.say(C)
    (warning,) = await until(lambda: [e for e in logged if e["log_level"] == "warning"])
    assert warning["known_gateways"] == ["edge"]
    assert warning["gateway"] == "inner"
    await publish(res(C, "a"), gateways={"edge": {}, "inner": layer([res(C, "b")])})
    assert names(await client.hear()) == ["a", "b"]


@VARIANTS
async def test_A3_an_empty_type_url_closes_an_aggregated_stream(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish()
    client = connect(variant)
    await client.say("")
    assert await client.status() == grpc.StatusCode.INVALID_ARGUMENT


@VARIANTS
async def test_A2_A3_services_per_type_serve_their_type(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"), res(L, "l"))
    client = connect(variant, method="envoy.service.cluster.v3.ClusterDiscoveryService/{}Clusters")
    await client.say("")
    response = await client.hear()
    assert (response.type_url, names(response)) == (C, ["a"])
    await client.say(L)
    assert await client.status() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("method", "type_url"),
    [
        ("envoy.service.runtime.v3.RuntimeDiscoveryService/{}Runtime", T),
        ("envoy.service.endpoint.v3.EndpointDiscoveryService/{}Endpoints", E),
        ("envoy.service.secret.v3.SecretDiscoveryService/{}Secrets", S),
        ("envoy.service.extension.v3.ExtensionConfigDiscoveryService/{}ExtensionConfigs", X),
        ("envoy.service.listener.v3.ListenerDiscoveryService/{}Listeners", L),
        ("envoy.service.route.v3.ScopedRoutesDiscoveryService/{}ScopedRoutes", P),
        ("envoy.service.route.v3.RouteDiscoveryService/{}Routes", R),
    ],
)
@VARIANTS
async def test_A2_M13_each_type_has_its_service(
    connect: Connect, publish: Publish, variant: str, method: str, type_url: str
) -> None:
    await publish(res(type_url, "a"))
    client = connect(variant, method=method)
    await client.say("", "a")
    assert (await client.hear()).type_url == type_url


async def test_A4_an_unknown_type_leaves_the_others_working(connect: Connect, publish: Publish) -> None:
    await publish(res(C, "a"))
    client = connect()
    await client.say("type.googleapis.com/envoy.service.discovery.v3.Unheard", "of")
    assert list((await client.hear()).removed_resources) == ["of"]
    await client.say(C)
    assert names(await client.hear()) == ["a"]


async def test_A8_H5_a_request_of_5_megabytes_is_taken(connect: Connect, publish: Publish) -> None:
    await publish(res(C, "a"))
    client = connect()
    held = {f"{number:06d}-{'x' * 40}": "0123456789abcdef" for number in range(75_000)}
    request = client.request(C)
    request.initial_resource_versions.update(held)
    assert request.ByteSize() > 5_000_000
    await client.send(request)
    assert names(await client.hear()) == ["a"]


@VARIANTS
async def test_A9_a_response_of_20_megabytes_is_sent_whole(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(*(res(C, f"{number:02d}", "x" * 1_000_000) for number in range(20)))
    client = connect(variant)
    await client.say(C)
    assert len((await client.hear()).resources) == 20


async def test_malformed_bytes_close_the_stream(connect: Connect, publish: Publish) -> None:
    await publish()
    client = connect()
    await client.call.write(b"\xff\xff")
    assert await client.status() == grpc.StatusCode.INVALID_ARGUMENT


@VARIANTS
async def test_N3_N4_a_client_that_does_not_read_costs_no_more_than_its_names(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str
) -> None:
    def state(turn: int) -> list[Resource]:
        return [res(C, "a", f" {turn}"), res(C, "big", "x" * 200_000)]

    await publish(*state(0))
    slow, quick = connect(variant), connect(variant, node="quick")
    for client in (slow, quick):
        await client.say(C)
    assert len((await quick.hear()).resources) == 2
    await quick.ack(C)
    await until(lambda: plane.metrics.responses.labels("Cluster")._value.get() == 2)
    for turn in range(1, 300):
        await publish(*state(turn))
    assert plane.metrics.responses.labels("Cluster")._value.get() < 300
    told = plane.nodes.one("node-1")
    assert told is not None
    assert told["streams"][0]["types"]["Cluster"]["waiting"] == 1

    async def last(client: RawClient) -> str:
        while True:
            response = await client.hear()
            await client.ack(C)
            body = response.resources[0]
            text = (body.resource.value if variant == "delta" else body.value).decode()
            if text == "a 299":
                return text

    assert await last(quick) == "a 299"
    assert names(await slow.hear())[0].startswith("a")
    await slow.ack(C)
    final = (await slow.hear()).resources[0]
    assert (final.resource.value if variant == "delta" else final.value) == b"a 299"


async def test_N7_G7_an_equal_catalogue_wakes_nobody(
    connect: Connect, publish: Publish, plane: ControlPlane
) -> None:
    await publish(res(C, "a"))
    client = connect()
    await client.say(C)
    await client.hear()
    await client.ack(C)
    await until(lambda: (plane.nodes.one("node-1") or {}).get("synced"))
    await publish(res(C, "a"))
    told = plane.nodes.one("node-1")
    assert told is not None
    assert told["streams"][0]["generation"] == 2
    await silence(client)


async def test_H11_nothing_is_kept_of_a_closed_stream_but_its_last_state(
    connect: Connect, publish: Publish, plane: ControlPlane
) -> None:
    await publish(res(C, "a"))
    client = connect()
    await client.say(C)
    await client.hear()
    await client.ack(C)
    await until(lambda: (plane.nodes.one("node-1") or {}).get("synced"))
    await client.close()
    await until(lambda: plane.nodes.connected() == 0)
    told = plane.nodes.one("node-1")
    assert told is not None
    assert told["connected"] is False
    assert told["streams"][0]["types"]["Cluster"]["resources"][0]["acked"] == res(C, "a").version
    await until(lambda: not plane.publisher._groups and not plane._discovery._sessions)
    assert plane.metrics.streams.labels("delta")._value.get() == 0


async def test_A12_five_hundred_streams(connect: Connect, publish: Publish, plane: ControlPlane) -> None:
    await publish(res(C, "a"))
    first = connect(node="0")
    method = "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
    calls = [first]
    for number in range(1, 500):
        client = object.__new__(RawClient)
        client.__dict__ |= first.__dict__ | {
            "node": (str(number), "edge", "eu"),
            "nonces": {},
            "met": False,
            "call": first.channel.stream_stream(method)(),
        }
        calls.append(client)

    async def boot(client: RawClient) -> None:
        await client.say(C)
        assert names(await client.hear()) == ["a"]
        await client.ack(C)

    await asyncio.gather(*(boot(client) for client in calls))
    assert plane.nodes.connected() == 500
    await publish(res(C, "a", "2"))
    for response in await asyncio.gather(*(client.hear() for client in calls)):
        assert names(response) == ["a"]


async def test_a_region_that_cannot_be_compiled_leaves_the_others_served(
    connect: Connect, publish: Publish, plane: ControlPlane, logged: list[dict[str, Any]]
) -> None:
    broken = False

    def regional(region: str) -> Any:
        if broken and region == "us":
            raise RuntimeError("no such region")
        return layer([res(E, "a", f" {region} {'again' if broken else ''}")])

    await publish(regional=regional)
    eu, us = connect("sotw", node="eu", region="eu"), connect("sotw", node="us", region="us")
    for client in (eu, us):
        await client.say(E, "a")
        await client.hear()
        await client.ack(E, "a")
    broken = True
    await publish(regional=regional)
    assert names(await eu.hear()) == ["a eu again"]
    assert any(entry["log_level"] == "error" and entry["region"] == "us" for entry in logged)
    await silence(us)
