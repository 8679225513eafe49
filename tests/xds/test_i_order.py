"""Section I: make before break, over the wire."""

from __future__ import annotations

from tests.xds.conftest import Publish
from tests.xds.exchange import VARIANTS, C, Connect, E, L, P, R, S, bodies, heard, hold, res
from tests.xds.raw_client import RawClient
from xds_server.protocol import Timing
from xds_server.server import ControlPlane
from xds_server.snapshot import Catalogue, Resource, layer

ASKED = {E: ("a", "b"), S: ("tls",), R: ("r",)}


def route(*clusters: str) -> Resource:
    return res(R, "r", "->" + ",".join(clusters), needs=clusters)


async def boot(client: RawClient, *types: str) -> None:
    for type_url in types:
        await hold(client, type_url, *ASKED.get(type_url, ()))


async def ack(client: RawClient, type_url: str) -> None:
    await client.ack(type_url, *ASKED.get(type_url, ()))


async def order(client: RawClient) -> list[str]:
    return [response.type_url for response in await heard(client)]


@VARIANTS
async def test_I1_one_change_of_everything_comes_in_order_removals_last(
    connect: Connect, publish: Publish, variant: str
) -> None:
    kinds = [(L, "l"), (S, "tls"), (E, "a"), (C, "a"), (C, "old")]
    await publish(*(res(*kind) for kind in kinds), route("old"))
    client = connect(variant)
    await boot(client, C, E, S, L, R)
    await publish(*(res(*kind, "2") for kind in kinds[:4]), route("a"))
    responses = [await client.hear() for _ in range(5)]
    assert [response.type_url for response in responses] == [C, E, S, L, R]
    assert bodies(responses[0]) == (["a2"] if variant == "delta" else ["a2", "old"])
    assert await heard(client) == []
    for type_url in (C, E, S, L, R):
        await ack(client, type_url)
    last = await client.hear()
    assert last.type_url == C
    assert list(last.removed_resources) == ["old"] if variant == "delta" else bodies(last) == ["a2"]


@VARIANTS
async def test_I2_a_route_to_a_new_cluster_waits_for_its_acknowledgement(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"), route("a"))
    client = connect(variant)
    await boot(client, C, R)
    await publish(res(C, "a"), res(C, "b"), route("a", "b"))
    assert await order(client) == [C]
    await ack(client, C)
    assert await order(client) == [R]


@VARIANTS
async def test_I3_endpoints_and_secrets_of_a_new_cluster_do_not_wait(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"), res(E, "a"), res(S, "tls"))
    client = connect(variant)
    await client.say(C)
    await client.hear()
    assert bodies(await hold(client, E, "a")) == ["a"]
    assert bodies(await hold(client, S, "tls")) == ["tls"]


@VARIANTS
async def test_I4_a_cluster_goes_only_after_the_new_route_is_acknowledged(variant: str) -> None:
    def state(generation: int, *resources: Resource) -> Catalogue:
        return Catalogue(generation, shared=layer(resources), gateways={"edge": {}})

    # Without grace a cluster goes as soon as it may.
    plane = ControlPlane(
        xds_address="127.0.0.1:0", admin_address="127.0.0.1:0", timing=Timing(cluster_grace=0.0)
    )
    async with plane:
        await plane.publish(state(1, res(C, "a"), res(C, "b"), route("a")))
        client = RawClient(plane.xds_port, variant)
        await boot(client, C, R)
        await plane.publish(state(2, res(C, "b"), route("b")))
        assert await order(client) == [R]
        await client.nack(R, "r is bad", "r")
        assert await order(client) == [], "what was refused may still use it"
        await plane.publish(state(3, res(C, "b"), route("b", "b")))
        assert await order(client) == [R]
        await ack(client, R)
        assert (await client.hear()).type_url == C
        await client.close()


async def test_I5_sotw_adds_and_removes_clusters_in_two_responses(connect: Connect, publish: Publish) -> None:
    await publish(res(C, "a"), route("a"))
    client = connect("sotw")
    await boot(client, C, R)
    await publish(res(C, "b"), route("b"))
    added = await client.hear()
    assert bodies(added) == ["a", "b"]
    await ack(client, C)
    assert bodies(await client.hear()) == ["r->b"]
    await ack(client, R)
    gone = await client.hear()
    assert bodies(gone) == ["b"]
    assert gone.version_info != added.version_info


@VARIANTS
async def test_I6_a_refused_cluster_holds_back_the_routes_to_it_and_nothing_else(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"), res(L, "l"), route("a"))
    refusing, other = connect(variant), connect(variant, node="another")
    for client in (refusing, other):
        await boot(client, C, L, R)
    await publish(res(C, "a"), res(C, "b", " bad"), res(L, "l", "2"), route("b"))
    for client in (refusing, other):
        assert await order(client) == [C, L]
        await ack(client, L)
    await refusing.nack(C, "b is bad")
    assert R not in await order(refusing)
    await ack(other, C)
    assert bodies(await other.hear()) == ["r->b"]
    await publish(res(C, "a"), res(C, "b", " good"), res(L, "l", "2"), route("b"))
    while R not in (told := await order(refusing)):
        assert set(told) <= {C}
        await ack(refusing, C)


@VARIANTS
async def test_I7_no_wait_is_without_end_and_none_outlives_its_stream(variant: str) -> None:
    def state(*clusters: str) -> Catalogue:
        resources = [*(res(C, name) for name in clusters), route(clusters[-1])]
        return Catalogue(len(clusters), shared=layer(resources), gateways={"edge": {}})

    plane = ControlPlane(
        xds_address="127.0.0.1:0", admin_address="127.0.0.1:0", timing=Timing(cluster_ack=0.2)
    )
    async with plane:
        await plane.publish(state("a"))
        client = RawClient(plane.xds_port, variant)
        await boot(client, C, R)
        await plane.publish(state("a", "b"))
        # The clusters are never acknowledged.
        assert (await client.hear()).type_url == C
        assert bodies(await client.hear()) == ["r->b"]
        await client.close()
        second = RawClient(plane.xds_port, variant)
        await boot(second, C, R)
        await second.close()


@VARIANTS
async def test_I8_a_listener_with_routes_inside_waits_for_their_clusters(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"), res(L, "inline", needs=("a",)))
    client = connect(variant)
    await client.say(C)
    await client.hear()
    await client.say(L)
    assert await order(client) == []
    await ack(client, C)
    assert bodies(await client.hear()) == ["inline"]


@VARIANTS
async def test_I11_a_newer_change_replaces_an_unsent_one_but_not_its_clusters(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"), route("a"))
    client = connect(variant)
    await boot(client, C, R)
    await publish(res(C, "a"), res(C, "b"), route("b"))
    await publish(res(C, "a"), res(C, "b"), res(C, "c"), route("c"))
    assert await order(client) == [C]
    await ack(client, C)
    second = await heard(client)
    assert [response.type_url for response in second] in ([C], [R])
    if second[0].type_url == C:
        # Both changes fell into two responses: the newer route still waits for its cluster.
        assert "c" in bodies(second[0])
        await ack(client, C)
        second = await heard(client)
    assert [bodies(response) for response in second] == [["r->c"]]


@VARIANTS
async def test_I1_scopes_and_routes_go_in_this_order(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(P, "p"), res(R, "r"), res(L, "l"))
    client = connect(variant)
    await boot(client, L, P, R)
    await publish(res(P, "p", "2"), res(R, "r", "2"), res(L, "l", "2"))
    assert [(await client.hear()).type_url for _ in range(3)] == [L, P, R]
