"""Models whose clusters are in reserve, and a client that fetches them with their routes."""

from __future__ import annotations

from typing import Any

from tests.xds.machine.conversation import C, Delta, E, P, R, res
from xds_server.protocol import Response
from xds_server.protocol.types import WILDCARD
from xds_server.snapshot import Resource, View, layer, reserve


def model(name: str, *revisions: str, body: str = "1") -> list[Resource]:
    """A model's scope, route, clusters and endpoints; the clusters are called like `name/revision`."""
    clusters = tuple(f"{name}/{each}" for each in revisions or ("v1",))
    parts = [(res(C, each, body), res(E, each, body)) for each in clusters]
    route = res(R, name, "->" + ",".join(clusters), needs=clusters)
    return [res(P, name), route, *(each for part in parts for each in part)]


def cold_view(eager: list[Resource], cold: list[Resource], generation: int = 1) -> View:
    """A view in which the clusters of `cold` are in reserve."""
    clusters = {each.name: each for each in cold if each.type_url == C}
    rest = [each for each in cold if each.type_url != C]
    return View(generation, ({**layer([*eager, *rest]), reserve(C): clusters},))


class Cold(Delta):
    """`show` publishes models of which the `warm` have their clusters sent to everybody."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"cluster_grace": 5.0, **options})

    def show(self, *cold: list[Resource], warm: list[Resource] | None = None) -> list[Response]:
        generation = self.stream.view.generation + 1 if self.stream.view else 1
        together = [each for one in cold for each in one]
        self.stream.on_view(cold_view(warm or [], together, generation))
        return self.poll()

    def start(self) -> None:
        """Ask for clusters and scopes, as an Envoy does that knows nothing."""
        for type_url in (C, P):
            if self.sub(type_url):
                self.ack(type_url)

    def fetch(self, name: str, *clusters: str) -> None:
        """Ask for a route, and take all that comes until it is here."""
        self.sub(R, name)
        self.sub(E, *clusters)
        self.answer()

    def answer(self) -> list[Response]:
        """Acknowledge whatever is in flight, until nothing is; returns what came meanwhile."""
        came: list[Response] = []
        while flying := [url for url, each in self.stream.channels.items() if each.flight is not None]:
            for type_url in flying:
                came += self.ack(type_url)
        return came

    def state(self, type_url: str) -> int:
        """How many names are kept of a type, in whatever state."""
        channel = self.stream.channels[type_url]
        kept = (
            channel.held,
            channel.dirty,
            channel.asked,
            channel.blocked,
            channel.leaving,
            channel.refusals,
        )
        more = (channel.receipts, channel.strange, channel.following, channel.subscription.names)
        return sum(len(each) for each in (*kept, *more))

    @property
    def clusters(self) -> set[str]:
        return set(self.stream.channels[C].held)


def come_back(client: Cold) -> Cold:
    """A new stream, on which the client says what it holds of clusters and scopes; its routes it has not told yet."""
    again = Cold()
    again.now = client.now
    assert client.stream.view is not None
    again.stream.on_view(client.stream.view)
    for type_url in (C, P):
        again.sub(type_url, initial_versions=held(client, type_url))
    assert {C, P} <= WILDCARD
    return again


def held(client: Cold, type_url: str) -> dict[str, str]:
    """What the client says of a type when it comes back."""
    return {name: each.version for name, each in client.stream.channels[type_url].held.items()}
