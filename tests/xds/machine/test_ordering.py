from __future__ import annotations

import pytest

from tests.xds.machine.conversation import C, Conversation, Delta, E, L, P, R, S, Sotw, X, res, said, view
from xds_server.protocol import Response
from xds_server.snapshot import Resource

Client = Delta | Sotw
VARIANTS = pytest.mark.parametrize("make", [Delta, Sotw], ids=["delta", "sotw"])

NAMES = {E: ("c1", "c2"), S: ("tls",), X: ("jwt",), R: ("r",)}


def ask(client: Client, type_url: str) -> list[Response]:
    names = NAMES.get(type_url, ())
    return client.sub(type_url, *names) if isinstance(client, Delta) else client.ask(type_url, *names)


def ack(client: Client, type_url: str) -> list[Response]:
    names = NAMES.get(type_url, ())
    return client.ack(type_url) if isinstance(client, Delta) else client.ack(type_url, *names)


def nack(client: Client, type_url: str, error: str) -> list[Response]:
    if isinstance(client, Delta):
        return client.nack(type_url, error)
    return client.nack(type_url, *NAMES.get(type_url, ()), error=error)


def route(*clusters: str) -> Resource:
    return res(R, "r", "->" + ",".join(clusters), needs=clusters)


def served(make: type[Client], *resources: Resource, **options: float) -> Client:
    """A client that holds everything and has acknowledged it."""
    client: Client = make(**options)
    client.see(*resources)
    for type_url in (C, E, S, X, L, P, R):
        named = any(resource.type_url == type_url for resource in resources)
        if (type_url not in NAMES or named) and ask(client, type_url):
            ack(client, type_url)
    return client


def quiet(client: Conversation) -> bool:
    return all(channel.quiet for channel in client.stream.channels.values())


@VARIANTS
def test_I1_a_change_of_everything_is_sent_in_order(make: type[Client]) -> None:
    everything = [res(t, n) for t, n in [(P, "p"), (L, "l"), (X, "jwt"), (S, "tls"), (E, "c1"), (C, "c1")]]
    client = served(make, *everything, route())
    changed = [Resource.of(r.type_url, r.name, b"2") for r in everything]
    sent = client.see(*changed, res(R, "r", "2"))
    assert [r.type_url for r in sent] == [C, E, S, X, L, P, R]


@VARIANTS
def test_I2_a_route_waits_until_its_new_cluster_is_acknowledged(make: type[Client]) -> None:
    client = served(make, res(C, "c1"), route("c1"))
    assert [r.type_url for r in client.see(res(C, "c1"), res(C, "c2"), route("c1", "c2"))] == [C]
    (sent,) = ack(client, C)
    assert sent.type_url == R


@VARIANTS
def test_I2_a_route_to_clusters_that_are_held_does_not_wait(make: type[Client]) -> None:
    client = served(make, res(C, "c1"), res(C, "c2"), route("c1"))
    sent = client.see(res(C, "c1", "2"), res(C, "c2"), res(C, "c3"), route("c1", "c2"))
    assert [r.type_url for r in sent] == [C, R]


@VARIANTS
def test_I2_the_first_route_waits_for_the_first_clusters(make: type[Client]) -> None:
    client = make()
    client.see(res(C, "c1"), route("c1"))
    ask(client, C)
    assert ask(client, R) == []
    assert [r.type_url for r in ack(client, C)] == [R]


@VARIANTS
def test_I3_endpoints_and_secrets_do_not_wait_for_the_clusters(make: type[Client]) -> None:
    client = make()
    client.see(res(C, "c1"), res(E, "c1"), res(S, "tls"))
    ask(client, C)
    assert [r.type_url for r in ask(client, E)] == [E]
    assert [r.type_url for r in ask(client, S)] == [S]


@VARIANTS
def test_I4_a_cluster_goes_after_the_route_that_used_it_was_replaced_and_acknowledged(
    make: type[Client],
) -> None:
    client = served(make, res(C, "c1"), res(C, "c2"), route("c1"), cluster_grace=5.0)
    assert [r.type_url for r in client.see(res(C, "c2"), route("c2"))] == [R]
    assert client.poll(after=100) == []
    assert ack(client, R) == []
    assert client.stream.deadline == client.now + 5
    assert client.poll(after=4.9) == []
    (removal,) = client.poll(after=0.2)
    assert removal.type_url == C
    if make is Delta:
        assert removal.removed == ("c1",)
    else:
        assert [r.name for r in removal.resources] == ["c2"]
    assert ack(client, C) == []
    assert quiet(client)


@VARIANTS
def test_I4_clusters_that_go_within_a_second_leave_together(make: type[Client]) -> None:
    """Not before their grace is over, and at the next full second: one response, however many changes."""
    client = served(make, *(res(C, f"c{at}") for at in range(4)), cluster_grace=5.0, cluster_tick=1.0)
    gone = [res(C, f"c{at}") for at in range(4)]
    assert client.poll(after=0.1) == []
    for _ in range(3):
        gone.pop()
        assert client.see(*gone) == []
        assert client.poll(after=0.3) == []
    assert client.poll(after=4.2) == []  # the first is due, and the last is not yet
    assert client.stream.deadline == 106.0
    [response] = client.poll(after=0.9)
    assert response.type_url == C
    ack(client, C)
    assert sorted(client.stream.channels[C].held) == ["c0"]
    assert client.stream.deadline is None


@VARIANTS
def test_I4_a_refused_route_keeps_the_cluster_it_still_uses(make: type[Client]) -> None:
    client = served(make, res(C, "c1"), res(C, "c2"), route("c1"), cluster_grace=5.0)
    client.see(res(C, "c2"), route("c2"))
    nack(client, R, "r is bad")
    assert client.poll(after=1000) == []
    client.see(res(C, "c2"), route("c2", "c2"))
    ack(client, R)
    client.poll()
    assert [r.type_url for r in client.poll(after=6)] == [C]


@VARIANTS
def test_I4_a_cluster_that_a_filter_uses_is_not_waited_for_and_stays_with_the_filter(
    make: type[Client],
) -> None:
    def keys(name: str) -> Resource:
        return Resource.of(X, "jwt", name.encode(), uses=(name,))

    client = make(cluster_grace=0.0)
    client.see(res(C, "k1"), keys("k1"))
    assert [r.type_url for r in ask(client, X)] == [X]
    assert ack(client, X) == []
    assert [r.type_url for r in ask(client, C)] == [C]
    ack(client, C)
    assert [r.type_url for r in client.see(res(C, "k2"), keys("k2"))] == [C, X]
    nack(client, X, "jwt is bad")
    ack(client, C)
    assert "k1" in client.stream.channels[C].held
    client.see(res(C, "k2"), keys("k3"))
    ack(client, X)
    client.poll()
    ack(client, C)
    assert "k1" not in client.stream.channels[C].held


@VARIANTS
def test_I4_a_route_still_unsent_from_an_older_change_keeps_its_cluster(make: type[Client]) -> None:
    client = served(make, res(C, "c1"), res(C, "c2"), res(L, "l"), route("c1"), cluster_grace=0.0)
    client.see(res(C, "c1"), res(C, "c2"), res(L, "l"), res(R, "r", "again", needs=("c1",)))
    client.see(res(C, "c1"), res(C, "c2"), res(L, "l"), route("c2"))
    assert client.see(res(C, "c2"), res(L, "l"), route("c2")) == []
    assert [r.type_url for r in ack(client, R)] == [R]
    assert [r.type_url for r in ack(client, R)] == [C]


@VARIANTS
def test_I2_a_cluster_that_comes_back_while_it_is_taken_away_is_waited_for(make: type[Client]) -> None:
    client = served(make, res(C, "c1"), res(C, "c2"), route("c1"), cluster_grace=0.0)
    assert [r.type_url for r in client.see(res(C, "c1"), route("c1"))] == [C]
    assert client.see(res(C, "c1"), res(C, "c2"), route("c2")) == []
    assert [r.type_url for r in ack(client, C)] == [C]
    assert [r.type_url for r in ack(client, C)] == [R]


@VARIANTS
def test_I4_a_cluster_that_comes_back_in_time_is_not_touched(make: type[Client]) -> None:
    client = served(make, res(C, "c1"), cluster_grace=5.0)
    assert client.see() == []
    assert client.see(res(C, "c1")) == []
    assert client.poll(after=100) == []
    assert quiet(client)


def test_I5_add_and_remove_are_two_sotw_responses_with_versions_of_their_own() -> None:
    client = served(Sotw, res(C, "c1"), route("c1"), cluster_grace=1.0)
    (added,) = client.see(res(C, "c2"), route("c2"))
    assert [r.name for r in added.resources] == ["c1", "c2"]
    ack(client, C)
    ack(client, R)
    (removed,) = client.poll(after=1.1)
    assert [r.name for r in removed.resources] == ["c2"]
    assert added.version != removed.version == client.stream.view.version(C)  # type: ignore[union-attr]


@VARIANTS
def test_I6_a_refused_cluster_holds_back_the_routes_to_it_and_no_others(make: type[Client]) -> None:
    client = served(make, res(C, "c1"), res(L, "l"), route("c1"))
    client.see(res(C, "c1"), res(C, "c2", "bad"), res(L, "l"), route("c2"))
    assert nack(client, C, "Error adding/updating cluster(s) c2: no") == []
    assert client.poll(after=1000) == []
    other = client.see(res(C, "c1"), res(C, "c2", "bad"), res(L, "l", "2"), route("c2"))
    assert [r.type_url for r in other] == [L]
    ack(client, L)
    repaired = client.see(res(C, "c1"), res(C, "c2", "good"), res(L, "l", "2"), route("c2"))
    assert [r.type_url for r in repaired] == [C]
    assert [r.type_url for r in ack(client, C)] == [R]


@VARIANTS
def test_I6_a_first_route_is_answered_though_one_of_its_clusters_was_refused(make: type[Client]) -> None:
    client = make()
    client.see(res(C, "c1"), res(C, "c2", "bad"), route("c1", "c2"))
    ask(client, C)
    for response in nack(client, C, "c2 is bad"):
        assert [r.name for r in response.resources] == ["c1"]
        ack(client, C)
    assert [r.type_url for r in ask(client, R)] == [R]


@VARIANTS
def test_I7_the_wait_for_an_acknowledgement_is_bounded(make: type[Client]) -> None:
    client = served(make, res(C, "c1"), route("c1"), cluster_ack=15.0)
    client.see(res(C, "c1"), res(C, "c2"), route("c2"))
    assert client.stream.deadline == client.now + 15
    assert client.poll(after=14.9) == []
    assert [r.type_url for r in client.poll(after=0.2)] == [R]
    assert client.stream.deadline is None


@VARIANTS
def test_I11_a_newer_change_does_not_skip_the_clusters_of_its_routes(make: type[Client]) -> None:
    client = served(make, res(C, "c1"), route("c1"))
    client.see(res(C, "c1"), res(C, "c2"), route("c2"))
    assert client.see(res(C, "c1"), res(C, "c2"), res(C, "c3"), route("c3")) == []
    (second,) = ack(client, C)
    assert second.type_url == C
    assert "c3" in [r.name for r in second.resources]
    assert [r.type_url for r in ack(client, C)] == [R]


@VARIANTS
def test_J1_J3_endpoints_follow_each_changed_cluster_even_if_unchanged(make: type[Client]) -> None:
    client = served(make, res(C, "c1"), res(C, "c2"), res(E, "c1"), res(E, "c2"))
    sent = client.see(res(C, "c1", "2"), res(C, "c2"), res(E, "c1"), res(E, "c2"))
    assert [r.type_url for r in sent] == [C, E]
    assert [r.name for r in sent[1].resources] == ["c1"]


@VARIANTS
def test_J1_endpoints_in_flight_are_followed_by_those_of_a_changed_cluster(make: type[Client]) -> None:
    client = served(make, res(C, "c1"), res(E, "c1"))
    client.see(res(C, "c1"), res(E, "c1", "2"))
    assert [r.type_url for r in client.see(res(C, "c1", "2"), res(E, "c1", "2"))] == [C]
    (sent,) = ack(client, E)
    assert [r.name for r in sent.resources] == ["c1"]


def test_J1_a_cluster_changed_while_away_has_its_endpoints_sent_though_the_client_holds_them() -> None:
    client = Delta()
    one, two = res(E, "c1"), res(E, "c2")
    client.see(res(C, "c1", "2"), res(C, "c2"), one, two)
    client.sub(C, initial_versions={"c1": "old", "c2": res(C, "c2").version})
    sent = client.sub(E, "c1", "c2", initial_versions={"c1": one.version, "c2": two.version})
    assert said(sent) == [("ClusterLoadAssignment", ["c1"], [])]


@VARIANTS
def test_J4_unchanged_clusters_are_not_sent(make: type[Client]) -> None:
    client = served(make, res(C, "c1"), res(E, "c1"))
    assert [r.type_url for r in client.see(res(C, "c1"), res(E, "c1", "2"))] == [E]


def test_removed_endpoints_are_named_after_their_cluster_and_not_if_unsubscribed() -> None:
    client = served(Delta, res(C, "c1"), res(E, "c1"), cluster_grace=1.0)
    assert client.see() == []
    assert said(client.poll(after=2)) == [("Cluster", [], ["c1"])]
    assert said(client.ack(C)) == [("ClusterLoadAssignment", [], ["c1"])]
    other = served(Delta, res(C, "c1"), res(E, "c1"), cluster_grace=1.0)
    other.see()
    other.poll(after=2)
    assert isinstance(other, Delta)
    other.unsub(E, "c1")
    assert other.ack(C) == []
    assert quiet(other)


def test_removed_routes_are_named_after_the_scopes_that_led_to_them() -> None:
    client = served(Delta, res(P, "p"), res(R, "r"))
    assert said(client.see()) == [("ScopedRouteConfiguration", [], ["p"])]
    assert said(client.ack(P)) == [("RouteConfiguration", [], ["r"])]


def test_G14_extensions_are_not_taken_from_a_client_that_asks_for_them() -> None:
    client = served(Delta, res(L, "l"), res(X, "jwt"))
    assert said(client.see(res(L, "l", "2"))) == [("Listener", ["l"], [])]
    assert client.ack(L) == []
    assert client.poll(after=1000) == []
    assert isinstance(client, Delta)
    assert client.unsub(X, "jwt") == []
    assert quiet(client)
    assert said(client.sub(X, "jwt")) == [("TypedExtensionConfig", [], ["jwt"])]


def test_reconnect_a_cluster_gone_meanwhile_stays_until_the_routes_are_told() -> None:
    client = Delta(cluster_grace=5.0)
    client.see(res(C, "c2"), route("c2"))
    held = {"c1": "1", "c2": res(C, "c2").version}
    assert client.sub(C, initial_versions=held) == []
    assert said(client.sub(R, "r", initial_versions={"r": "old"})) == [("RouteConfiguration", ["r"], [])]
    assert client.poll(after=100) == []
    client.ack(R)
    assert said(client.poll(after=6)) == [("Cluster", [], ["c1"])]


def test_I4_I5_a_sotw_client_that_comes_back_keeps_what_went_meanwhile_until_its_routes_are_told() -> None:
    """It does not say which clusters it holds, and a full set without one would take it away at once."""
    client = Sotw(cluster_grace=5.0)
    before = view(res(C, "c1"), res(E, "c1"), route("c1"))
    now = view(res(C, "c2"), res(E, "c2"), route("c2"), generation=2)
    now.past = (before,)
    client.stream.on_view(now)
    (clusters,) = client.ask(C, version=before.version(C))
    assert [(r.name, r.body) for r in clusters.resources] == [("c1", b"1"), ("c2", b"1")]
    (endpoints,) = client.ask(E, "c1", "c2", version=before.version(E))
    assert [r.name for r in endpoints.resources] == ["c1", "c2"]
    assert client.ask(R, "r", version=before.version(R)) == []
    client.ack(E, "c1", "c2")
    (routes,) = client.ack(C)
    assert (routes.type_url, routes.resources[0].body) == (R, b"->c2")
    assert client.poll(after=100) == []
    client.ack(R, "r")
    (clusters,) = client.poll(after=5)
    assert [r.name for r in clusters.resources] == ["c2"]


def test_F11_a_sotw_client_that_comes_back_twice_meanwhile_is_not_told_again() -> None:
    before = view(res(C, "c1"), route("c1"))
    now = view(res(C, "c2"), route("c2"), generation=2)
    now.past = (before,)
    first, second = Sotw(cluster_grace=5.0), Sotw(cluster_grace=5.0)
    first.stream.on_view(now)
    (both,) = first.ask(C, version=before.version(C))
    second.stream.on_view(now)
    assert second.ask(C, version=both.version) == []
    (routes,) = second.ask(R, "r", version=before.version(R))
    assert routes.resources[0].body == b"->c2"
    second.ack(R, "r")
    (clusters,) = second.poll(after=5)
    assert [r.name for r in clusters.resources] == ["c2"]


def test_F1_a_new_sotw_client_is_not_sent_what_went() -> None:
    client = Sotw(cluster_grace=5.0)
    now = view(res(C, "c2"))
    now.past = (view(res(C, "c1"), res(E, "c1")),)
    client.stream.on_view(now)
    assert said(client.ask(C)) == [("Cluster", ["c2"], [])]
    assert client.ask(E, "c1") == []


def test_I7_reconnect_a_cluster_gone_meanwhile_goes_though_the_client_has_all_the_rest() -> None:
    """No answer follows the last request: nothing but the clock can bring the removal about."""
    client = Delta(cluster_grace=5.0)
    client.see(res(C, "c2"), route("c2"))
    assert client.sub(C, initial_versions={"c1": "1", "c2": res(C, "c2").version}) == []
    assert client.sub(R, "r", initial_versions={"r": route("c2").version}) == []
    assert client.stream.deadline == client.now + 5
    assert said(client.poll(after=5)) == [("Cluster", [], ["c1"])]


def test_the_first_full_set_of_listeners_waits_whole_for_its_clusters() -> None:
    """A part of it would take the other listeners from a client that has them from an earlier stream."""
    client = Sotw()
    both = [res(L, "free"), res(L, "bound", needs=("c1",))]
    client.see(res(C, "c1"), *both)
    client.ask(C)
    assert client.ask(L) == []
    assert client.see(res(C, "c1"), *both, res(L, "more")) == []
    assert said(client.ack(C)) == [("Listener", ["bound", "free", "more"], [])]


def test_a_later_full_set_keeps_the_old_listener_while_its_new_cluster_is_on_its_way() -> None:
    client = served(Sotw, res(C, "c1"), res(L, "a", needs=("c1",)), res(L, "b"))
    sent = client.see(res(C, "c1"), res(C, "c2"), res(L, "a", "2", needs=("c2",)), res(L, "b", "2"))
    assert [r.type_url for r in sent] == [C, L]
    assert [r.body for r in sent[1].resources] == [b"1", b"2"]
    ack(client, L)
    (after,) = ack(client, C)
    assert [r.body for r in after.resources] == [b"2", b"2"]


@VARIANTS
def test_J1_a_warming_cluster_without_endpoints_is_told_so_in_delta(make: type[Client]) -> None:
    client = served(make, res(C, "c1"), res(E, "c2"))
    sent = client.see(res(C, "c1", "2"), res(E, "c2"))
    assert said(sent)[1:] == ([("ClusterLoadAssignment", [], ["c1"])] if make is Delta else [])
