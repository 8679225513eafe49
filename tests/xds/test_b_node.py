"""Section B: nodes and who they are, over the wire."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from tests.xds.conftest import Publish
from tests.xds.exchange import VARIANTS, C, Connect, E, L, bodies, heard, hold, res, told_of, until
from tests.xds.raw_client import RawClient
from xds_server.protocol import types as t
from xds_server.server import ControlPlane
from xds_server.snapshot import Dialect, Layers, NodeRule, layer
from xds_server.wire import message_class


@VARIANTS
@pytest.mark.parametrize("first", t.ORDER, ids=t.short)
async def test_B1_B2_the_node_of_a_first_request_of_any_type_is_remembered(
    connect: Connect, publish: Publish, variant: str, first: str
) -> None:
    def regional(region: str) -> Any:
        return layer(res(type_url, "a", f" in {region}") for type_url in t.ORDER)

    await publish(regional=regional)
    client = connect(variant, region="us")
    for type_url in (first, *(each for each in t.ORDER if each != first)):
        assert bodies(await hold(client, type_url, "a")) == ["a in us"]
        if type_url == C and first == E:
            # Endpoints follow each cluster that is sent.
            assert (await client.hear()).type_url == E
            await client.ack(E, "a")


@VARIANTS
@pytest.mark.parametrize("node", [None, ("", "edge", "eu")], ids=["no node", "no id"])
async def test_B3_who_does_not_say_who_it_is_gets_nothing(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str, node: tuple[str, str, str] | None
) -> None:
    await publish(res(C, "a"))
    client = connect(variant)
    client.node = node
    client.met = node is None
    await client.say(C)
    assert await client.status() == grpc.StatusCode.INVALID_ARGUMENT
    assert plane.nodes.all() == []
    assert plane.metrics.responses.labels("Cluster")._value.get() == 0


def again(client: RawClient, *node: str) -> None:
    """Have the next request carry a node."""
    client.met, client.node = False, node


@VARIANTS
async def test_B4_B11_a_repeated_node_changes_nothing_and_a_changed_one_is_followed(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str
) -> None:
    def regional(region: str) -> Any:
        return layer([res(E, "a", f" in {region}"), res(E, "b")])

    await publish(res(C, "a"), regional=regional)
    client = connect(variant, region="eu")
    await hold(client, C)
    for _ in range(3):
        again(client, "node-1", "edge", "eu")
        await hold(client, E, "a", "b")
        assert await heard(client) == []
    again(client, "node-1", "edge", "us")
    await client.say(C, nonce=client.nonces[C])
    assert "a in us" in bodies(await client.hear())
    await client.ack(E, "a", "b")
    await until(lambda: (plane.nodes.one("node-1") or {}).get("synced"))
    told = plane.nodes.one("node-1")
    assert told is not None
    assert told["region"] == "us"


@VARIANTS
@pytest.mark.parametrize("node", [("node-2", "edge", "eu"), ("", "edge", "eu")], ids=["another", "none"])
async def test_B5_a_stream_whose_node_changes_its_id_gets_nobodys_data(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str, node: tuple[str, str, str]
) -> None:
    await publish(res(C, "a"), res(L, "l"))
    client = connect(variant)
    await hold(client, C)
    again(client, *node)
    await client.say(L)
    assert await client.status() == grpc.StatusCode.INVALID_ARGUMENT
    assert plane.nodes.one("node-2") is None
    assert plane.metrics.responses.labels("Listener")._value.get() == 0


async def test_B6_streams_of_one_node_are_complete_and_independent(
    connect: Connect, publish: Publish, plane: ControlPlane
) -> None:
    await publish(res(C, "a"), res(E, "a"))
    clusters = "envoy.service.cluster.v3.ClusterDiscoveryService/{}Clusters"
    clients = [
        connect(variant, **each) for variant in ("delta", "sotw") for each in ({}, {}, {"method": clusters})
    ]
    for client in clients:
        assert bodies(await hold(client, C)) == ["a"]
    assert len({client.nonces[C] for client in clients}) == len(clients)
    await publish(res(C, "a", " 2"), res(E, "a"))
    for client in clients:
        assert bodies(await client.hear()) == ["a 2"]
    # Another stream's nonce is not one's own: it answers nothing.
    own, other = clients[0], clients[1]
    await own.say(C, nonce=other.nonces[C])
    assert await heard(own) == []
    for client in clients[1:]:
        await client.ack(C)
    await clients[1].nack(C, "too late")
    await clients[2].close()

    def streams() -> list[dict[str, Any]]:
        node = plane.nodes.one("node-1")
        return [stream["types"]["Cluster"] for stream in node["streams"]] if node else []

    await until(lambda: [each["in_flight"] for each in streams()].count(True) == 1 and len(streams()) == 5)
    assert sum(each["nacked"] for each in streams()) == 0
    await publish(res(C, "a", " 3"), res(E, "a"))
    for client in (clients[1], *clients[3:]):
        assert bodies(await client.hear()) == ["a 3"]


@VARIANTS
async def test_B9_a_feature_that_the_server_does_not_use_changes_no_byte(
    connect: Connect, publish: Publish, variant: str
) -> None:
    await publish(res(C, "a"), res(E, "a"))
    plain, able = connect(variant, node="plain"), connect(variant, node="able")
    heard_of = {}
    for client, features in ((plain, ()), (able, ("xds.config.supports-resource-ttl", "of the future"))):
        request = client.request(C)
        request.node.client_features.extend(features)
        await client.send(request)
        response = await client.hear()
        response.nonce = ""
        heard_of[client] = response.SerializeToString(deterministic=True)
    assert heard_of[plain] == heard_of[able]


@pytest.mark.parametrize("able", [True, False], ids=["announced", "not announced"])
async def test_B9_load_of_all_clusters_is_asked_only_of_who_announces_it(
    connect: Connect, publish: Publish, plane: ControlPlane, able: bool
) -> None:
    await publish(res(C, "a"))
    client = connect()
    await hold(client, C)
    await until(lambda: told_of(plane, C)["acked"])
    service = "/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats"
    reporting = client.channel.stream_stream(service)()
    request: Any = message_class("envoy.service.load_stats.v3.LoadStatsRequest")()
    request.node.id, request.node.cluster, request.node.locality.region = client.node
    request.node.client_features.extend(["envoy.lrs.supports_send_all_clusters"] if able else ["other"])
    await reporting.write(request.SerializeToString())
    answer: Any = message_class("envoy.service.load_stats.v3.LoadStatsResponse")()
    answer.ParseFromString(await reporting.read())
    assert answer.send_all_clusters is able
    assert list(answer.clusters) == ([] if able else ["a"])
    reporting.cancel()


RULES = (
    NodeRule("by id", ids=("canary-*",)),
    NodeRule("by metadata", metadata={"tier": "gold"}),
    NodeRule("by cluster", clusters=frozenset({"inner"})),
)


def described(
    node: Any, *, metadata: str = "", release: tuple[int, int] | None = None, agent: str = "envoy"
) -> None:
    """Add to a node what it says of itself beside its id, cluster and region."""
    if metadata:
        node.metadata.fields["tier"].string_value = metadata
    if release:
        node.user_agent_name = agent
        version = node.user_agent_build_version.version
        version.major_number, version.minor_number = release


@VARIANTS
@pytest.mark.parametrize(
    ("node", "more", "expected"),
    [
        (("n", "edge", "eu"), {}, ["edge", "eu newest"]),
        (("canary-7", "edge", "eu"), {"metadata": "gold"}, ["by id", "eu newest"]),
        (("n", "edge", "eu"), {"metadata": "gold"}, ["by metadata", "eu newest"]),
        (("n", "edge", "eu"), {"metadata": "silver"}, ["edge", "eu newest"]),
        (("n", "inner", "us"), {}, ["by cluster", "us newest"]),
        (("n", "edge", "eu"), {"release": (1, 36)}, ["edge", "eu of 1.36"]),
        (("n", "edge", "eu"), {"release": (1, 40)}, ["edge", "eu newest"]),
        (("n", "edge", "eu"), {"release": (1, 36), "agent": "gRPC"}, ["edge", "eu newest"]),
    ],
    ids=["plain", "id", "metadata", "other metadata", "cluster and region", "old", "new", "no Envoy"],
)
async def test_B7_B8_what_a_node_is_sent_follows_from_what_it_says_of_itself(
    connect: Connect,
    publish: Publish,
    variant: str,
    node: tuple[str, str, str],
    more: dict[str, Any],
    expected: list[str],
) -> None:
    gateways = {name: layer([res(L, name)]) for name in ("by id", "by metadata", "by cluster", "edge")}

    def speak(_gateway: str, dialect: Dialect) -> Layers | None:
        if dialect.release is None or dialect.release >= (1, 37):
            return None
        return Layers({}, gateways, lambda region: layer([res(L, f"{region} of 1.36")]))

    rules = [*RULES, NodeRule("edge", clusters=frozenset({"edge"}))]
    await publish(
        gateways=gateways,
        nodes=rules,
        regional=lambda region: layer([res(L, f"{region} newest")]),
        speak=speak,
    )
    client = connect(variant)
    client.node = node
    request = client.request(L)
    described(request.node, **more)
    await client.send(request)
    assert bodies(await client.hear()) == expected


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
    assert bodies(await client.hear()) == ["a", "b"]


@VARIANTS
async def test_B7_B11_who_repeats_its_node_goes_on_though_its_gateway_is_gone(
    connect: Connect, publish: Publish, plane: ControlPlane, variant: str
) -> None:
    await publish(res(C, "a"), gateways={"paris": {}}, nodes=[NodeRule("paris", frozenset({"edge"}))])
    client = connect(variant)
    await hold(client, C)
    await publish(res(C, "a", " 2"), gateways={"other": {}})
    assert bodies(await client.hear()) == ["a 2"]
    client.met = False
    await client.ack(C)
    await until(lambda: (plane.nodes.one(client.node[0]) or {})["synced"])
    await publish(res(C, "a", " 3"), gateways={"other": {}})
    assert bodies(await client.hear()) == ["a 3"]


async def test_B1_L2_metadata_that_json_does_not_have_is_the_clients_fault(
    connect: Connect, publish: Publish
) -> None:
    await publish(res(C, "a"))
    client = connect()
    request = client.request(C)
    request.node.metadata.fields["load"].number_value = float("nan")
    await client.send(request)
    assert await client.status() == grpc.StatusCode.INVALID_ARGUMENT
    assert "node.metadata" in await client.call.details()
