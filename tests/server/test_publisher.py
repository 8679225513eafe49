from __future__ import annotations

from structlog.testing import capture_logs

from xds_server.server.metrics import Metrics
from xds_server.server.publisher import Publisher
from xds_server.snapshot import Audience, Catalogue, Diff, Identity, NodeRule, Resource, View, layer

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
LISTENER = "type.googleapis.com/envoy.config.listener.v3.Listener"
EDGE = Audience("edge", "eu-west-3")


class Reader:
    def __init__(self, identity: Identity | None = None) -> None:
        self.seen: list[tuple[View, Diff | None]] = []
        self.identity = identity or Identity("one", "edge", EDGE.region)
        self.moves: list[str] = []

    def audience_in(self, catalogue: Catalogue) -> Audience:
        return Audience(catalogue.gateway_of(self.identity), self.identity.region)

    def move(self, audience: Audience) -> None:
        self.moves.append(audience.gateway)

    def show(self, view: View, change: Diff | None) -> None:
        self.seen.append((view, change))


def catalogue(generation: int, body: str, *gateways: str) -> Catalogue:
    shared = layer([Resource.of(CLUSTER, "a", body.encode())])
    return Catalogue(generation, shared=shared, gateways={name: {} for name in gateways})


async def test_what_changes_for_all_reaches_nodes_whose_gateway_is_gone() -> None:
    """Who is no longer trusted must not get in through an Envoy that outlived its manifest."""
    publisher, reader = Publisher(Metrics()), Reader()
    await publisher.publish(catalogue(1, "old", "edge"))
    assert await publisher.attach(reader, EDGE)
    await publisher.publish(catalogue(2, "new"))
    view, change = reader.seen[-1]
    assert change is not None
    assert (view.generation, [each.body for each in view.resources(CLUSTER)]) == (2, [b"new"])


async def test_a_gateway_that_never_was_is_shown_nothing() -> None:
    publisher, reader = Publisher(Metrics()), Reader()
    await publisher.publish(catalogue(1, "old"))
    assert not await publisher.attach(reader, EDGE)
    await publisher.publish(catalogue(2, "new"))
    assert reader.seen == []


async def test_nodes_that_came_before_the_first_catalogue_are_told_of_when_it_lacks_their_gateway() -> None:
    publisher, reader = Publisher(Metrics()), Reader()
    assert not await publisher.attach(reader, EDGE)
    with capture_logs() as logs:
        await publisher.publish(catalogue(1, "old", "other"))
        await publisher.publish(catalogue(2, "new", "other"))
    [warning] = [each for each in logs if each["log_level"] == "warning"]
    assert (warning["gateway"], warning["known_gateways"]) == ("edge", ["other"])


def divided(generation: int, *rules: NodeRule, gateways: str = "edge inner", body: str = "1") -> Catalogue:
    layers = {name: layer([Resource.of(LISTENER, name, body.encode())]) for name in gateways.split()}
    return Catalogue(generation, shared={}, gateways=layers, nodes=rules)


def listeners(reader: Reader) -> list[str]:
    return sorted(reader.seen[-1][0].names(LISTENER))


EVERYBODY_INNER = NodeRule("inner", ids=("*",))


async def test_B7_a_change_of_the_rules_moves_open_streams_to_their_new_gateway() -> None:
    publisher, reader, other = Publisher(Metrics()), Reader(), Reader(Identity("two", "inner", "eu-west-3"))
    await publisher.publish(divided(1))
    await publisher.attach(reader, EDGE)
    await publisher.attach(other, EDGE._replace(gateway="inner"))
    assert (listeners(reader), listeners(other)) == (["edge"], ["inner"])
    await publisher.publish(divided(2, EVERYBODY_INNER))
    assert (reader.moves, other.moves) == (["inner"], [])
    assert reader.seen[-1] == (other.seen[-1][0], None)
    await publisher.publish(divided(3, EVERYBODY_INNER, body="2"))
    assert reader.seen[-1] == other.seen[-1]
    assert reader.seen[-1][1] is not None
    await publisher.publish(divided(4, NodeRule("edge", clusters=frozenset({"edge"}))))
    assert reader.moves == ["inner", "edge"]
    assert listeners(reader) == ["edge"]


async def test_B7_nodes_that_came_before_the_rules_are_shown_what_the_rules_say() -> None:
    publisher, reader = Publisher(Metrics()), Reader()
    await publisher.attach(reader, EDGE)
    await publisher.publish(divided(1, EVERYBODY_INNER))
    assert [listeners(reader), reader.moves] == [["inner"], ["inner"]]


async def test_B7_a_node_that_no_gateway_claims_any_more_is_sent_nothing_more() -> None:
    publisher, reader = Publisher(Metrics()), Reader()
    await publisher.publish(divided(1))
    await publisher.attach(reader, EDGE)
    shown = len(reader.seen)
    await publisher.publish(divided(2, NodeRule("edge", ids=("another",)), body="2"))
    await publisher.publish(divided(3, NodeRule("edge", ids=("another",)), body="3"))
    assert (reader.moves, len(reader.seen)) == ([""], shown)
    await publisher.publish(divided(4, body="4"))
    assert (reader.moves, listeners(reader)) == (["", "edge"], ["edge"])


async def test_B7_a_node_whose_gateway_is_gone_stays_with_it_though_its_cluster_names_none() -> None:
    publisher = Publisher(Metrics())
    reader = Reader(Identity("one", "unknown", "eu-west-3"))
    await publisher.publish(divided(1, EVERYBODY_INNER))
    await publisher.attach(reader, EDGE._replace(gateway="inner"))
    await publisher.publish(divided(2, gateways="edge", body="2"))
    assert reader.moves == []
    assert (reader.seen[-1][0].generation, listeners(reader)) == (2, ["inner"])


def named(generation: int, name: str, body: str = "body", intact_since: int | None = None) -> Catalogue:
    shared = layer([Resource.of(CLUSTER, name, body.encode())])
    return Catalogue(generation, shared=shared, gateways={"edge": {}}, intact_since=intact_since)


async def test_I4_a_view_knows_what_went_a_few_catalogues_ago() -> None:
    publisher, reader = Publisher(Metrics()), Reader()
    publisher.remember(named(0, "of the process before"))
    for generation in range(1, 4):
        await publisher.publish(named(generation, f"c{generation}"))
    assert await publisher.attach(reader, EDGE)
    await publisher.publish(named(4, "c1"))
    first, last = reader.seen[0][0], reader.seen[-1][0]
    assert last.gone(CLUSTER).keys() == {"of the process before", "c2", "c3"}
    assert last.recall(CLUSTER, "c2") is not None
    assert last.get(CLUSTER, "c2") is None
    assert last.recall(CLUSTER, "never") is None
    assert first.past == ()  # the past of what is past is not kept


async def test_N9_what_is_remembered_of_the_past_is_bounded() -> None:
    publisher, reader = Publisher(Metrics()), Reader()
    await publisher.publish(named(0, "c0"))
    assert await publisher.attach(reader, EDGE)
    for generation in range(1, 100):
        await publisher.publish(named(generation, f"c{generation}"))
    assert reader.seen[-1][0].gone(CLUSTER).keys() == {f"c{each}" for each in range(91, 99)}


async def test_what_went_is_not_forgotten_over_catalogues_in_which_nothing_goes() -> None:
    publisher, reader = Publisher(Metrics()), Reader()
    await publisher.publish(named(1, "old", intact_since=1))
    assert await publisher.attach(reader, EDGE)
    for generation in range(2, 100):
        await publisher.publish(named(generation, "new", str(generation), intact_since=2))
    last = reader.seen[-1][0]
    assert last.gone(CLUSTER).keys() == {"old"}
    assert len(last.past) <= 2  # and there is no more to look through


async def test_of_what_went_its_last_state_is_known() -> None:
    publisher, reader = Publisher(Metrics()), Reader()
    assert not await publisher.attach(reader, EDGE)
    for generation in range(1, 20):
        await publisher.publish(named(generation, "old", str(generation), intact_since=1))
    for generation in range(20, 40):
        await publisher.publish(named(generation, "new", intact_since=20))
    found = reader.seen[-1][0].recall(CLUSTER, "old")
    assert found is not None
    assert found.body == b"19"
