"""Section A: the transport's surface, over the wire."""

from __future__ import annotations

import grpc
import pytest

from tests.xds.conftest import Publish
from tests.xds.exchange import (
    VARIANTS,
    C,
    Connect,
    E,
    L,
    P,
    R,
    S,
    T,
    X,
    bodies,
    heard,
    hold,
    hold_each,
    removed,
    res,
    until,
)
from tests.xds.raw_client import RawClient, names
from xds_server.protocol import types as t
from xds_server.server import ControlPlane


async def test_A1_both_variants_serve_the_same_state_on_one_port(connect: Connect, publish: Publish) -> None:
    clients = [connect(variant, node=variant) for variant in ("delta", "sotw")]
    for turn in range(3):
        await publish(res(C, "a", f" {turn}"), res(C, "b"), res(L, "l", f" {turn}"))
        for client in clients:
            for type_url in (C, L):
                response = await client.hear() if turn else await hold(client, type_url)
                assert f"{'a' if type_url == C else 'l'} {turn}" in bodies(response)
                await client.ack(type_url)
    for client in clients:
        assert await heard(client) == []


@VARIANTS
async def test_A4_types_that_are_not_served_leave_the_others_working(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"))
    client = connect(variant)
    unknown = "type.googleapis.com/envoy.config.route.v3.VirtualHost"
    await client.say(unknown)
    await client.say(unknown, "host")
    if variant == "delta":
        response = await client.hear()
        assert (response.type_url, removed(response)) == (unknown, ["host"])
        await client.ack(unknown)
    await hold(client, C)
    await publish(res(C, "a", " 2"))
    assert bodies(await client.hear()) == ["a 2"]
    await client.ack(C)
    assert await heard(client) == []


@VARIANTS
async def test_A5_A6_A7_a_response_has_one_type_and_says_so_of_each_resource(
    connect: Connect, publish: Publish, variant: str
) -> None:
    def state(turn: int) -> list:
        return [res(type_url, name, f" {turn}") for type_url in t.ORDER for name in "ab"]

    def check(response: object) -> str:
        found = [each.resource if variant == "delta" else each for each in response.resources]
        assert len(found) == (1 if response.type_url in t.ALONE else 2)
        assert {each.type_url for each in found} == {response.type_url}
        assert ".v3." in response.type_url
        return response.type_url

    await publish(*state(0))
    client = connect(variant)
    for type_url in t.ORDER:
        assert await hold_each(client, type_url, "a", "b") == ["a 0", "b 0"]
    await publish(*state(1))
    seen = []
    for _ in (*t.ORDER, *t.ALONE):
        response = await client.hear()
        seen.append(check(response))
        await client.ack(response.type_url, "a", "b")
    assert sorted(seen) == sorted((*t.ORDER, *t.ALONE))
    assert await heard(client, *([] if variant == "delta" else [t.SCOPE])) == []


@pytest.mark.parametrize(
    "method",
    [
        "envoy.service.discovery.v2.AggregatedDiscoveryService/StreamAggregatedResources",
        "envoy.service.discovery.v2.AggregatedDiscoveryService/DeltaAggregatedResources",
        "envoy.api.v2.ClusterDiscoveryService/StreamClusters",
        "envoy.api.v2.ListenerDiscoveryService/DeltaListeners",
    ],
)
async def test_A6_the_transport_of_version_2_is_not_there(
    connect: Connect, publish: Publish, method: str
) -> None:
    await publish(res(C, "a"))
    client = connect(method=method)
    assert await client.status() == grpc.StatusCode.UNIMPLEMENTED


@VARIANTS
async def test_A6_resources_of_version_2_are_not_there(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"))
    client = connect(variant)
    await client.say("type.googleapis.com/envoy.api.v2.Cluster", "a")
    assert [resource for response in await heard(client) for resource in response.resources] == []


@VARIANTS
async def test_A15_unknown_fields_of_newer_clients_are_ignored(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str
) -> None:
    unknown = b"\xfa\x3e\x03new\xf0\x3e\x01"
    """Fields 1007 (bytes) and 1006 (a number)."""
    await publish(res(C, "a"))
    client = connect(variant)
    request = client.request(C)
    request.node.id, request.node.cluster, request.node.locality.region = client.node
    request.node.MergeFromString(unknown)
    request.MergeFromString(unknown)
    assert request.SerializeToString().count(unknown) == 2
    await client.call.write(request.SerializeToString())
    assert bodies(await client.hear()) == ["a"]
    answer = client.request(C, nonce=client.nonces[C])
    answer.MergeFromString(unknown)
    await client.call.write(answer.SerializeToString())
    await until(lambda: (plane.nodes.one("node-1") or {}).get("synced"))


@VARIANTS
async def test_A16_the_server_judges_no_resource_that_the_compiler_made(
    connect: Connect, publish: Publish, variant: str
) -> None:
    """Bytes go to the client as they are; what is wrong with them for its version it says itself."""
    body = "\n\x00\x10\x7f not what any version of the message looks like"
    await publish(*(res(type_url, "a", body) for type_url in t.ORDER))
    client = connect(variant)
    for type_url in t.ORDER:
        assert bodies(await hold(client, type_url, "a")) == [f"a{body}"]


@VARIANTS
async def test_A2_streams_per_type_and_aggregated_serve_the_same_state(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(L, "l"), res(R, "r"))
    aggregated = connect(variant, node="aggregated")
    listeners = connect(variant, method="envoy.service.listener.v3.ListenerDiscoveryService/{}Listeners")
    routes = connect(variant, method="envoy.service.route.v3.RouteDiscoveryService/{}Routes")
    held: list[tuple[RawClient, str, tuple[str, ...]]] = [
        (aggregated, L, ()),
        (aggregated, R, ("r",)),
        (listeners, L, ()),
        (routes, R, ("r",)),
    ]
    for client, type_url, asked in held:
        assert bodies(await hold(client, type_url, *asked)) == ["l" if type_url == L else "r"]
    await publish(res(L, "l", " 2"), res(R, "r", " 2"))
    for client, type_url, _ in held:
        assert bodies(await client.hear()) == ["l 2" if type_url == L else "r 2"]


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
        ("envoy.service.cluster.v3.ClusterDiscoveryService/{}Clusters", C),
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
