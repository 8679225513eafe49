"""What outlives a stream, or goes beyond it: the other streams of its node, and the next one."""

from __future__ import annotations

import pytest

from tests.xds.conftest import Publish
from tests.xds.exchange import VARIANTS, C, Connect, E, L, R, bodies, heard, hold, removed, res, until
from tests.xds.raw_client import RawClient
from xds_server.server import ControlPlane
from xds_server.snapshot import NodeRule, Resource, layer

METHODS = {
    C: "envoy.service.cluster.v3.ClusterDiscoveryService/{}Clusters",
    E: "envoy.service.endpoint.v3.EndpointDiscoveryService/{}Endpoints",
    L: "envoy.service.listener.v3.ListenerDiscoveryService/{}Listeners",
    R: "envoy.service.route.v3.RouteDiscoveryService/{}Routes",
}


def route(*clusters: str) -> Resource:
    return res(R, "r", " -> " + " ".join(clusters), needs=clusters)


def per_type(connect: Connect, variant: str, node: str = "node-1") -> dict[str, RawClient]:
    return {type_url: connect(variant, node=node, method=method) for type_url, method in METHODS.items()}


async def silent(client: RawClient, type_url: str, *names: str) -> bool:
    """Ask once more for what is held: the answer to that is all there is on its way."""
    nonce = "" if client.variant == "delta" else client.nonces[type_url]
    await client.say(type_url, *names, "probe", nonce=nonce)
    response = await client.hear()
    await client.ack(type_url, *names, "probe")
    return removed(response) == ["probe"]


async def test_I10_routes_wait_for_the_clusters_on_another_stream_of_the_node(
    connect: Connect, publish: Publish
) -> None:
    await publish(res(C, "one"), res(E, "one"), route("one"))
    streams = per_type(connect, "delta")
    for type_url, names in ((C, ()), (E, ("one",)), (R, ("r",))):
        await hold(streams[type_url], type_url, *names)
    await publish(res(C, "one"), res(C, "two"), res(E, "one"), route("two"))
    assert bodies(await streams[C].hear()) == ["two"]
    assert await silent(streams[R], R)
    await streams[C].ack(C)
    assert bodies(await streams[R].hear()) == ["r -> two"]


@VARIANTS
async def test_I10_the_whole_exchange_of_a_rename_over_streams_of_their_own(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "one"), res(E, "one"), route("one"))
    streams = per_type(connect, variant)
    for type_url, names in ((C, ()), (E, ("one",)), (R, ("r",))):
        await hold(streams[type_url], type_url, *names)
    await publish(res(C, "two"), res(E, "two"), route("two"))
    added = await streams[C].hear()
    assert bodies(added) == (["two"] if variant == "delta" else ["one", "two"])
    await streams[C].ack(C)
    # Envoy acknowledges clusters at once here, and asks for their endpoints then.
    more = connect(variant, method=METHODS[E])
    assert bodies(await hold(more, E, "two")) == ["two"]
    assert bodies(await streams[R].hear()) == ["r -> two"]
    await streams[R].ack(R, "r")
    taken = await streams[C].hear()
    assert removed(taken) == ["one"] if variant == "delta" else bodies(taken) == ["two"]


@VARIANTS
async def test_I10_J1_endpoints_follow_their_cluster_onto_another_stream(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "one"), res(E, "one"))
    streams = per_type(connect, variant)
    for type_url, names in ((C, ()), (E, ("one",))):
        await hold(streams[type_url], type_url, *names)
    await publish(res(C, "one", " changed"), res(E, "one"))
    assert bodies(await streams[C].hear()) == ["one changed"]
    assert bodies(await streams[E].hear()) == ["one"]


@pytest.mark.parametrize("method", [METHODS[L], None], ids=["LDS", "ADS"])
async def test_D10_the_good_half_of_a_refused_response_is_taken_back_after_a_reconnect(
    connect: Connect, publish: Publish, plane: ControlPlane, method: str | None
) -> None:
    options = {"method": method} if method else {}
    kept = res(L, "kept")
    await publish(kept)
    first = connect(**options)
    await hold(first, L)
    await publish(kept, res(L, "bad"), res(L, "good"))
    await first.hear()
    await first.nack(L, "bad: no")
    assert bodies(await first.hear()) == ["good"]
    await first.close()
    await until(lambda: plane.nodes.connected() == 0)
    await publish(kept)
    again = connect(**options)
    await again.say(L, held={"kept": kept.version})
    assert sorted(removed(await again.hear())) == ["bad", "good"]
    await again.ack(L)
    other = connect(node="another", **options)
    await other.say(L, held={"kept": kept.version})
    await other.say(L, "probe")
    assert removed(await other.hear()) == ["probe"]


@VARIANTS
async def test_B7_rules_that_change_re_tailor_an_open_stream(
    connect: Connect, publish: Publish, variant: str
) -> None:
    gateways = {
        "edge": layer([res(L, "edge"), res(L, "both", " of edge")]),
        "inner": layer([res(L, "inner"), res(L, "both", " of inner")]),
    }
    await publish(res(C, "shared"), gateways=gateways)
    client = connect(variant)
    await hold(client, C)
    assert bodies(await hold(client, L)) == ["both of edge", "edge"]
    await publish(res(C, "shared"), gateways=gateways, nodes=[NodeRule("inner", ids=("node-*",))])
    moved = await client.hear()
    assert (moved.type_url, bodies(moved)) == (L, ["both of inner", "inner"])
    if variant == "delta":
        assert removed(moved) == ["edge"]
    await client.ack(L)
    assert await heard(client) == []
    await publish(res(C, "shared"), gateways=gateways)
    assert bodies(await client.hear()) == ["both of edge", "edge"]
