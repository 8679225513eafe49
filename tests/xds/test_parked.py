"""Parked clusters: kept back from every client, taken away at once, and sent when they are parked no more."""

from __future__ import annotations

import grpc.aio

from tests.xds.conftest import Publish
from tests.xds.exchange import C, Connect, E, R, bodies, heard, hold, removed, res
from tests.xds.raw_client import names
from xds_server.server import ControlPlane
from xds_server.snapshot import WAITS, Catalogue, Resource, layer, parked

CLUSTERS = "envoy.service.cluster.v3.ClusterDiscoveryService/{}Clusters"


class Fleet:
    """Catalogues of one gateway, in which some clusters are parked."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._generation = 0

    async def publish(self, *resources: Resource, without: tuple[Resource, ...] = ()) -> None:
        self._generation += 1
        kept_back = {parked(C): {each.name: each for each in without}} if without else {}
        shared = {**layer([*resources, *without]), **kept_back}
        await self._plane.publish(Catalogue(self._generation, shared=shared, gateways={"edge": {}}))


async def test_a_parked_cluster_is_neither_there_nor_missing(plane: ControlPlane, connect: Connect) -> None:
    fleet = Fleet(plane)
    await fleet.publish(res(C, "a"), without=(res(C, "b"),))
    client = connect()
    assert names(await hold(client, C)) == ["a"]
    # Who asks for it by name gets no answer: to be told that it is missing would end his wait.
    await client.say(C, "b")
    assert await heard(client) == []
    await client.say(C, "c")
    assert removed(await client.hear()) == ["c"]
    await client.ack(C)
    await fleet.publish(res(C, "a"), res(C, "b"))
    assert bodies(await client.hear()) == ["b"]


async def test_it_goes_at_once_though_routes_lead_to_it_and_comes_back(
    plane: ControlPlane, connect: Connect
) -> None:
    fleet, route, endpoints = Fleet(plane), res(R, "r", needs=("a",)), res(E, "a")
    client = connect()
    await fleet.publish(res(C, "a"), endpoints, route)
    await hold(client, C)
    await hold(client, E, "a")
    await hold(client, R, "r")
    await fleet.publish(res(E, "a", " empty"), route, without=(res(C, "a"),))
    gone = await client.hear()
    assert (gone.type_url, names(gone), removed(gone)) == (C, [], ["a"])
    await client.ack(C)
    assert bodies(await client.hear()) == ["a empty"]
    await client.ack(E, "a")
    assert await heard(client) == [], "nothing else changed"
    await fleet.publish(res(C, "a"), endpoints, route)
    assert bodies(await client.hear()) == ["a"]


async def test_a_route_to_a_parked_cluster_does_not_wait_for_it(
    plane: ControlPlane, connect: Connect
) -> None:
    await Fleet(plane).publish(res(R, "r", needs=("a",)), without=(res(C, "a"),))
    client = connect()
    await client.say(C)
    assert names(await client.hear()) == []
    await client.ack(C)
    assert bodies(await hold(client, R, "r")) == ["r"]


async def test_who_comes_back_with_it_loses_it(plane: ControlPlane, connect: Connect) -> None:
    fleet = Fleet(plane)
    await fleet.publish(res(C, "a"), res(C, "b"))
    first = connect()
    held = await hold(first, C)
    await first.close()
    await fleet.publish(res(C, "a"), without=(res(C, "b"),))
    second = connect()
    await second.say(C, held={each.name: each.version for each in held.resources})
    assert removed(await second.hear()) == ["b"]


async def test_who_may_hold_it_of_a_response_not_answered_loses_it_at_once(
    plane: ControlPlane, connect: Connect
) -> None:
    fleet, route = Fleet(plane), res(R, "r", needs=("b",))
    await fleet.publish(res(C, "a"), res(C, "b"), route)
    first = connect()
    await first.say(C)
    assert names(await first.hear()) == ["a", "b"]
    await first.close()
    await fleet.publish(res(C, "a"), route, without=(res(C, "b"),))
    second = connect()
    await second.say(C)
    again = await second.hear()
    assert (names(again), removed(again)) == (["a"], ["b"])


async def test_a_change_while_it_is_parked_is_no_news(plane: ControlPlane, connect: Connect) -> None:
    fleet = Fleet(plane)
    await fleet.publish(res(C, "a"), without=(res(C, "b"),))
    client = connect()
    await hold(client, C)
    await fleet.publish(res(C, "a"), without=(res(C, "b", "2"),))
    assert await heard(client) == []
    await fleet.publish(res(C, "a"), res(C, "b", "2"))
    assert bodies(await client.hear()) == ["b2"]


async def test_a_stream_that_says_what_requests_wait_for_is_not_answered(
    plane: ControlPlane, publish: Publish, connect: Connect
) -> None:
    """Not even for a cluster that is there, or that is nowhere: it comes on the other stream, or it does not."""
    await publish(res(C, "a"))
    waits = connect(method=CLUSTERS, metadata=(WAITS,))
    await waits.say(C, "a", "b")
    plain = connect(method=CLUSTERS)
    assert names(await hold(plain, C)) == ["a"]
    # It is no stream of clusters of the node: nothing waits for its acknowledgements.
    node = plane.nodes.one("node-1")
    assert node is not None
    assert len(node["streams"]) == 1
    await waits.call.done_writing()
    assert await waits.call.read() is grpc.aio.EOF
