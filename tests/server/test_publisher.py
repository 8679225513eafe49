from __future__ import annotations

from structlog.testing import capture_logs

from xds_server.server.metrics import Metrics
from xds_server.server.publisher import Publisher
from xds_server.snapshot import Audience, Catalogue, Diff, Resource, View, layer

CLUSTER = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
EDGE = Audience("edge", "eu-west-3")


class Reader:
    def __init__(self) -> None:
        self.seen: list[tuple[View, Diff | None]] = []

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
