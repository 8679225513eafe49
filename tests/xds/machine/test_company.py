"""Order between the streams of one node that has each type from its own service (row I10)."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from tests.xds.machine.conversation import C, Conversation, Delta, E, L, P, R, Sotw, res, said, view
from xds_server.protocol import Companies, Company, Request, Response
from xds_server.snapshot import Resource

Client = Delta | Sotw
VARIANTS = pytest.mark.parametrize("make", [Delta, Sotw], ids=["delta", "sotw"])


def route(name: str, *clusters: str) -> Resource:
    return res(R, name, "->" + ",".join(clusters), needs=clusters)


class Envoy:
    """The streams of one node, by a name of their own. Polls a stream when something came, or it was woken."""

    def __init__(self, make: type[Client], company: Company | None = None, **options: float) -> None:
        self.make = make
        self.options = options
        self.company = company or Company(several=True)
        self.streams: dict[str, Client] = {}
        self.types: dict[str, tuple[str, tuple[str, ...]]] = {}
        self.due: set[str] = set()
        self.resources: tuple[Resource, ...] = ()
        self.now = 100.0
        self.polls = 0

    def open(self, stream: str, type_url: str, *names: str) -> list[Response]:
        request = Request(type_url, subscribe=names) if self.make is Delta else Request(type_url, names=names)
        return self.reopen(stream, request)

    def reopen(self, stream: str, request: Request) -> list[Response]:
        client = self.make(**self.options)
        client.stream.join(self.company)
        client.stream.wake = self.waker(stream)
        client.stream.on_view(view(*self.resources))
        self.streams[stream] = client
        self.types[stream] = (request.type_url, request.subscribe or request.names)
        return self.say(stream, request)

    def waker(self, stream: str) -> Callable[[], None]:
        return lambda: self.due.add(stream)

    def say(self, stream: str, request: Request) -> list[Response]:
        self.streams[stream].stream.on_request(request, self.now)
        self.due.add(stream)
        return self.turn()

    def turn(self, after: float = 0.0) -> list[Response]:
        """Poll whoever is due until nobody is."""
        self.now += after
        for stream, client in self.streams.items():
            deadline = client.stream.deadline
            if deadline is not None and deadline <= self.now:
                self.due.add(stream)
        responses = []
        while self.due:
            stream = self.due.pop()
            self.polls += 1
            assert self.polls < 1000, "streams that wake each other for ever"
            client = self.streams[stream]
            client.now = self.now
            responses += client.poll()
        return sorted(responses, key=lambda r: [C, E, L, P, R].index(r.type_url))

    def see(self, *resources: Resource) -> list[Response]:
        self.resources = resources
        for stream, client in self.streams.items():
            known = client.stream.view
            client.stream.on_view(view(*resources, generation=known.generation + 1 if known else 1))
            self.due.add(stream)
        return self.turn()

    def ack(self, stream: str, error: str | None = None) -> list[Response]:
        client = self.streams[stream]
        type_url, names = self.types[stream]
        if isinstance(client, Delta):
            return self.say(stream, Request(type_url, nonce=client.nonces[type_url], error=error))
        version = "" if error else client.versions[type_url]
        return self.say(
            stream,
            Request(type_url, nonce=client.nonces[type_url], names=names, version=version, error=error),
        )

    def end(self, stream: str) -> list[Response]:
        self.streams.pop(stream).stream.leave()
        self.due.discard(stream)
        return self.turn()

    def held(self, stream: str) -> dict[str, bytes]:
        channel = self.streams[stream].stream.channels[self.types[stream][0]]
        return {name: resource.body for name, resource in channel.held.items()}


def booted(make: type[Client], *resources: Resource, **options: float) -> Envoy:
    """A node with streams for clusters, endpoints of c1, listeners and route r, all of it acknowledged."""
    envoy = Envoy(make, **options)
    envoy.see(*resources)
    for stream, type_url, names in (
        ("clusters", C, ()),
        ("endpoints", E, ("c1",)),
        ("listeners", L, ()),
        ("route", R, ("r",)),
    ):
        if envoy.open(stream, type_url, *names):
            envoy.ack(stream)
    return envoy


@VARIANTS
def test_I10_a_route_waits_for_the_clusters_of_another_stream(make: type[Client]) -> None:
    envoy = booted(make, res(C, "c1"), route("r", "c1"))
    assert [r.type_url for r in envoy.see(res(C, "c1"), res(C, "c2"), route("r", "c1", "c2"))] == [C]
    assert [r.type_url for r in envoy.ack("clusters")] == [R]


@VARIANTS
def test_I10_a_route_does_not_wait_longer_than_the_client_may_warm_its_clusters(make: type[Client]) -> None:
    envoy = booted(make, res(C, "c1"), route("r", "c1"), cluster_ack=15.0)
    envoy.see(res(C, "c1"), res(C, "c2"), route("r", "c2"))
    assert envoy.turn(after=14.9) == []
    assert [r.type_url for r in envoy.turn(after=0.2)] == [R]


@VARIANTS
def test_I10_I2_a_route_waits_for_the_endpoints_too_for_envoy_acknowledges_the_cluster_before_it_has_them(
    make: type[Client],
) -> None:
    envoy = booted(make, res(C, "c1"), res(E, "c1"), route("r", "c1"))
    everything = [res(C, "c1"), res(C, "c2"), res(E, "c1"), res(E, "c2"), route("r", "c2")]
    assert [r.type_url for r in envoy.see(*everything)] == [C]
    assert envoy.ack("clusters") == []
    assert [r.type_url for r in envoy.open("new endpoints", E, "c2")] == [E]
    assert [r.type_url for r in envoy.ack("new endpoints")] == [R]


@VARIANTS
def test_I10_I7_the_wait_for_endpoints_that_are_never_asked_for_is_bounded(make: type[Client]) -> None:
    options = {"cluster_ack": 15.0, "endpoints_ack": 5.0}
    envoy = booted(make, res(C, "c1"), res(E, "c1"), route("r", "c1"), **options)
    everything = [res(C, "c1"), res(C, "c2"), res(E, "c1"), res(E, "c2"), route("r", "c2")]
    envoy.see(*everything)
    envoy.turn(after=10)
    assert envoy.ack("clusters") == []
    assert envoy.turn(after=4.9) == []
    assert [r.type_url for r in envoy.turn(after=0.2)] == [R]


@VARIANTS
def test_I10_a_route_does_not_wait_for_endpoints_that_do_not_exist_or_are_there(make: type[Client]) -> None:
    envoy = booted(make, res(C, "c1"), res(E, "c1"), route("r", "c1"))
    envoy.see(res(C, "c1"), res(C, "dns"), res(E, "c1"), route("r", "c1", "dns"))
    assert [r.type_url for r in envoy.ack("clusters")] == [R]


@VARIANTS
def test_I10_endpoints_do_not_wait_for_the_clusters(make: type[Client]) -> None:
    envoy = Envoy(make)
    envoy.see(res(C, "c1"), res(E, "c1"))
    envoy.open("clusters", C)
    assert [r.type_url for r in envoy.open("endpoints", E, "c1")] == [E]


@VARIANTS
def test_I10_J1_endpoints_follow_a_changed_cluster_on_whichever_stream_asks_for_them(
    make: type[Client],
) -> None:
    envoy = booted(make, res(C, "c1"), res(C, "c2"), res(E, "c1"), res(E, "c2"))
    if envoy.open("other endpoints", E, "c2"):
        envoy.ack("other endpoints")
    sent = envoy.see(res(C, "c1"), res(C, "c2", "2"), res(E, "c1"), res(E, "c2"))
    assert [(r.type_url, r.resources[-1].name) for r in sent] == [(C, "c2"), (E, "c2")]


@VARIANTS
def test_I10_I4_a_cluster_goes_after_all_routes_on_all_streams_have_let_it_go(make: type[Client]) -> None:
    envoy = booted(make, res(C, "c1"), res(C, "c2"), route("r", "c1"), route("s", "c1"), cluster_grace=5.0)
    envoy.open("other route", R, "s")
    envoy.ack("other route")
    assert [r.type_url for r in envoy.see(res(C, "c2"), route("r", "c2"), route("s", "c2"))] == [R, R]
    assert envoy.turn(after=100) == []
    assert envoy.ack("route") == []
    assert envoy.turn(after=100) == []
    assert envoy.ack("other route") == []
    assert envoy.turn(after=4.9) == []
    assert [r.type_url for r in envoy.turn(after=0.2)] == [C]
    envoy.ack("clusters")
    assert list(envoy.held("clusters")) == ["c2"]


@VARIANTS
def test_I10_I4_a_route_that_is_no_longer_asked_for_lets_its_cluster_go(make: type[Client]) -> None:
    envoy = booted(make, res(C, "c1"), route("r", "c1"), cluster_grace=5.0)
    envoy.see(route("r"))
    assert envoy.turn(after=100) == []
    client = envoy.streams["route"]
    if isinstance(client, Delta):
        envoy.say("route", Request(R, unsubscribe=("r",)))
    else:
        envoy.types["route"] = (R, ())
        envoy.ack("route")
    assert [r.type_url for r in envoy.turn(after=5)] == [C]


@VARIANTS
def test_I10_I4_a_stream_of_routes_that_ends_pins_nothing(make: type[Client]) -> None:
    envoy = booted(make, res(C, "c1"), route("r", "c1"), cluster_grace=5.0)
    envoy.see(route("r"))
    assert envoy.turn(after=100) == []
    assert envoy.end("route") == []
    assert [r.type_url for r in envoy.turn(after=5)] == [C]


@VARIANTS
def test_I10_I7_a_stream_of_clusters_that_ends_is_waited_for_and_not_for_ever(make: type[Client]) -> None:
    envoy = booted(make, res(C, "c1"), route("r", "c1"), cluster_ack=15.0)
    envoy.see(res(C, "c1"), res(C, "c2"), route("r", "c2"))
    assert envoy.end("clusters") == []
    assert envoy.turn(after=14.9) == []
    assert [r.type_url for r in envoy.turn(after=0.2)] == [R]


@VARIANTS
def test_I10_who_comes_back_with_a_route_gets_the_next_one_after_its_stream_of_clusters_is_back(
    make: type[Client],
) -> None:
    """Streams come back in any order; the route that the client has works."""
    envoy = Envoy(make)
    envoy.see(res(C, "c1"), res(C, "c2"), route("r", "c2"))
    held = {"initial_versions": {"r": "old"}, "subscribe": ("r",)}
    delta = make is Delta
    request = Request(R, **held) if delta else Request(R, names=("r",), version="old")  # type: ignore[arg-type]
    assert envoy.reopen("route", request) == []
    assert [r.type_url for r in envoy.open("clusters", C)] == [C]
    assert [r.type_url for r in envoy.ack("clusters")] == [R]


def test_I10_a_route_goes_when_the_stream_of_clusters_is_back_and_lacks_nothing() -> None:
    envoy = Envoy(Delta)
    cluster = res(C, "c2")
    envoy.see(cluster, route("r", "c2"))
    held = {"r": "old"}
    assert envoy.reopen("route", Request(R, subscribe=("r",), initial_versions=held)) == []
    back = envoy.reopen("clusters", Request(C, initial_versions={"c2": cluster.version}))
    assert [r.type_url for r in back] == [R]


@VARIANTS
def test_I10_H7_without_a_stream_of_clusters_routes_are_answered_at_once(make: type[Client]) -> None:
    envoy = Envoy(make)
    envoy.see(res(C, "c1"), route("r", "c1"))
    assert [r.type_url for r in envoy.open("route", R, "r")] == [R]


@VARIANTS
def test_I10_B6_another_node_is_not_waited_for(make: type[Client]) -> None:
    companies = Companies()
    one = Envoy(make, companies.of("one"))
    other = Envoy(make, companies.of("other"))
    for envoy in (one, other):
        envoy.see(res(C, "c1"), route("r", "c1"))
    one.open("clusters", C)
    assert one.open("route", R, "r") == []
    assert [r.type_url for r in other.open("route", R, "r")] == [R]


@VARIANTS
def test_I10_I6_a_refused_cluster_holds_back_the_route_on_the_other_stream_until_it_is_repaired(
    make: type[Client],
) -> None:
    envoy = booted(make, res(C, "c1"), res(L, "l"), route("r", "c1"))
    envoy.see(res(C, "c1"), res(C, "c2", "bad"), res(L, "l"), route("r", "c2"))
    assert envoy.ack("clusters", "Error adding/updating cluster(s) c2: no") == []
    assert envoy.turn(after=1000) == []
    sent = envoy.see(res(C, "c1"), res(C, "c2", "bad"), res(L, "l", "2"), route("r", "c2"))
    assert [r.type_url for r in sent] == [L]
    envoy.ack("listeners")
    repaired = envoy.see(res(C, "c1"), res(C, "c2", "good"), res(L, "l", "2"), route("r", "c2"))
    assert [r.type_url for r in repaired] == [C]
    assert [r.type_url for r in envoy.ack("clusters")] == [R]


@VARIANTS
def test_I10_I7_the_wait_for_a_repaired_cluster_counts_from_when_it_is_sent(make: type[Client]) -> None:
    envoy = booted(make, res(C, "c1"), route("r", "c1"), cluster_ack=15.0)
    envoy.see(res(C, "c1"), res(C, "c2", "bad"), route("r", "c2"))
    envoy.ack("clusters", "Error adding/updating cluster(s) c2: no")
    assert envoy.turn(after=1000) == []
    repaired = envoy.see(res(C, "c1"), res(C, "c2", "good"), res(R, "r", "too", needs=("c2",)))
    assert [r.type_url for r in repaired] == [C]
    assert envoy.turn(after=14.9) == []
    assert [r.type_url for r in envoy.turn(after=0.2)] == [R]


@VARIANTS
def test_I10_streams_that_wait_for_a_refused_cluster_do_not_wake_each_other(make: type[Client]) -> None:
    envoy = booted(make, res(C, "c1"), route("r", "c1"), route("s", "c1"))
    envoy.open("other route", R, "s")
    envoy.ack("other route")
    envoy.see(res(C, "c1"), res(C, "c2", "bad"), route("r", "c2"), route("s", "c2"))
    envoy.ack("clusters", "c2 is bad")
    envoy.turn(after=100)
    before = envoy.polls
    envoy.due |= envoy.streams.keys()
    envoy.turn(after=100)
    assert envoy.polls == before + len(envoy.streams)


@VARIANTS
def test_I10_B6_a_twin_that_went_silent_is_waited_for_once_and_then_no_more(make: type[Client]) -> None:
    """A stream of clusters whose client vanished without a word, beside the one of its successor."""
    envoy = booted(make, res(C, "c1"), route("r", "c1"), cluster_ack=15.0)
    envoy.open("silent", C)
    envoy.see(res(C, "c1"), res(C, "c2"), route("r", "c2"))
    assert envoy.ack("clusters") == []
    assert [r.type_url for r in envoy.turn(after=15)] == [R]
    envoy.ack("route")
    envoy.see(res(C, "c1"), res(C, "c3"), route("r", "c3"))
    assert [r.type_url for r in envoy.ack("clusters")] == [R]


def test_I10_removed_endpoints_are_named_after_their_cluster_on_the_other_stream() -> None:
    envoy = booted(Delta, res(C, "c1"), res(E, "c1"), cluster_grace=1.0)
    assert envoy.see() == []
    assert said(envoy.turn(after=2)) == [("Cluster", [], ["c1"])]
    assert said(envoy.ack("clusters")) == [("ClusterLoadAssignment", [], ["c1"])]


def test_I10_H4_endpoints_are_trusted_only_beside_a_stream_of_clusters() -> None:
    """Without one a cluster is still warming from an earlier stream, and waits for its endpoints."""
    one, two = res(E, "c1"), res(E, "c2")
    held = {"c1": one.version, "c2": two.version}
    envoy = Envoy(Delta)
    envoy.see(res(C, "c1"), res(C, "c2"), one, two)
    envoy.open("endpoints", E)
    sent = envoy.say("endpoints", Request(E, subscribe=("c1", "c2"), initial_versions=held))
    assert said(sent) == [("ClusterLoadAssignment", ["c1", "c2"], [])]


def test_I10_H4_endpoints_of_clusters_in_flight_on_the_other_stream_are_sent_though_held() -> None:
    one, two = res(E, "c1"), res(E, "c2")
    envoy = Envoy(Delta)
    envoy.see(res(C, "c1"), res(C, "c2"), one, two)
    envoy.open("clusters", C)
    envoy.ack("clusters")
    envoy.see(res(C, "c1", "2"), res(C, "c2"), one, two)
    client = Delta()
    client.stream.join(envoy.company)
    client.stream.on_view(view(res(C, "c1", "2"), res(C, "c2"), one, two))
    sent = client.sub(E, "c1", "c2", initial_versions={"c1": one.version, "c2": two.version})
    assert said(sent) == [("ClusterLoadAssignment", ["c1"], [])]


@VARIANTS
def test_H11_a_company_is_freed_with_its_last_stream(make: type[Client]) -> None:
    companies = Companies()
    envoy = Envoy(make, companies.of("node"))
    assert companies.of("node") is envoy.company
    envoy.see(res(C, "c1"), route("r", "c1"))
    envoy.open("clusters", C)
    envoy.open("route", R, "r")
    streams = [client.stream for client in envoy.streams.values()]
    envoy.end("clusters")
    envoy.end("route")
    assert [*envoy.company.of(C), *envoy.company.of(R)] == []
    assert all(stream.view is not None for stream in streams)
    del envoy, streams
    gc.collect()
    assert len(companies) == 0


def test_H11_a_stream_alone_is_freed_without_the_garbage_collector() -> None:
    import weakref

    client: Conversation = Delta()
    client.see(res(C, "c1"))
    assert isinstance(client, Delta)
    client.sub(C)
    channel = weakref.ref(client.stream.channels[C])
    client.stream.leave()
    gc.disable()
    try:
        del client
        assert channel() is None
    finally:
        gc.enable()
