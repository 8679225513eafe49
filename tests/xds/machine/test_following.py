"""Clusters in reserve: sent to whom has a route to them, before it, and taken back after it."""

from __future__ import annotations

from tests.xds.machine.conversation import C, E, P, R, res, said
from tests.xds.machine.reserved import Cold, come_back, held, model

MANY = 500


def fleet(count: int) -> list[list]:  # type: ignore[type-arg]
    return [model(f"m{at}") for at in range(count)]


def served(*names: str, **options: float) -> Cold:
    """A client that has fetched these of the models a and b."""
    client = Cold(**options)
    client.show(model("a"), model("b"))
    client.start()
    for name in names:
        client.fetch(name, f"{name}/v1")
    return client


def test_a_cold_stream_holds_nothing_of_a_model_but_its_scope() -> None:
    client = Cold()
    client.show(*fleet(MANY))
    client.start()
    assert len(client.stream.channels[P].held) == MANY
    assert client.state(C) == 0
    # A change of everything but the scopes is nothing to it either.
    assert client.show(*[model(f"m{at}", "v1", "v2", body="2") for at in range(MANY)]) == []
    assert client.state(C) == 0
    assert client.stream.in_step


def test_a_stream_that_fetched_one_model_holds_that_one() -> None:
    client = Cold()
    client.show(*fleet(MANY))
    client.start()
    client.fetch("m7", "m7/v1")
    assert client.clusters == {"m7/v1"}
    assert client.show(*[model(f"m{at}", body="2") for at in range(MANY) if at != 7], model("m7")) == []
    assert client.clusters == {"m7/v1"}
    assert not client.stream.channels[C].dirty


def test_a_route_comes_after_its_clusters_were_taken() -> None:
    client = Cold()
    client.show(model("a", "v1", "v2"), model("b"))
    client.start()
    assert said(client.sub(R, "a")) == [("Cluster", ["a/v1", "a/v2"], [])]
    assert said(client.sub(E, "a/v1", "a/v2")) == [("ClusterLoadAssignment", ["a/v1", "a/v2"], [])]
    assert client.ack(E) == []
    assert said(client.ack(C)) == [("RouteConfiguration", ["a"], [])]
    assert client.ack(R) == []
    assert client.stream.in_step


def test_a_route_waits_for_its_clusters_while_others_are_on_their_way() -> None:
    client = Cold()
    client.show(model("a"), model("b"))
    client.start()
    assert said(client.sub(R, "a")) == [("Cluster", ["a/v1"], [])]
    assert client.sub(R, "b") == []
    assert said(client.ack(C)) == [("Cluster", ["b/v1"], []), ("RouteConfiguration", ["a"], [])]
    assert client.ack(R) == []
    assert said(client.ack(C)) == [("RouteConfiguration", ["b"], [])]


def test_a_route_asked_for_before_the_first_view_or_before_clusters_brings_its_clusters_too() -> None:
    for first, second in ((R, C), (C, R)):
        client = Cold()
        client.sub(first, *(["a"] if first == R else []))
        client.sub(second, *(["a"] if second == R else []))
        assert said(client.show(model("a"), model("b"))) == [("Cluster", ["a/v1"], [])]
        assert said(client.ack(C)) == [("RouteConfiguration", ["a"], [])]
    client = Cold()
    client.show(model("a"), model("b"))
    client.sub(R, "a")
    client.answer()
    assert said(client.sub(C)) == [("Cluster", ["a/v1"], [])]


def test_a_change_of_one_model_sends_what_it_changed() -> None:
    client = served("a")
    changed = [each for each in model("a", body="2") if each.type_url != C]
    clusters = [each for each in model("a") if each.type_url == C]
    assert said(client.show([*changed, *clusters], model("b"))) == [("ClusterLoadAssignment", ["a/v1"], [])]
    client.ack(E)
    sent = said(client.show(model("a", body="3"), model("b")))
    assert sent == [("Cluster", ["a/v1"], []), ("ClusterLoadAssignment", ["a/v1"], [])]
    client.answer()
    assert client.show(model("a", body="3"), model("b", body="3")) == []


def test_a_new_revision_comes_before_the_route_and_the_old_one_goes_after_it() -> None:
    client = served("a")
    assert said(client.show(model("a", "v2"), model("b"))) == [("Cluster", ["a/v2"], [])]
    assert said(client.ack(C)) == [("RouteConfiguration", ["a"], [])]
    assert client.poll(after=100) == []
    assert client.ack(R) == []
    assert client.poll(after=4.9) == []
    assert said(client.poll(after=0.2)) == [("Cluster", [], ["a/v1"])]
    client.ack(C)
    assert client.clusters == {"a/v2"}


def test_a_model_that_is_gone_takes_its_clusters_with_it() -> None:
    client = served("a", "b")
    assert said(client.show(model("b"))) == [("ScopedRouteConfiguration", [], ["a"])]
    assert said(client.ack(P)) == [("RouteConfiguration", [], ["a"])]
    client.unsub(R, "a")
    client.answer()
    client.poll()
    assert said(client.poll(after=5.1)) == [("Cluster", [], ["a/v1"])]
    client.answer()
    assert client.clusters == {"b/v1"}


def test_what_is_no_longer_asked_for_is_no_longer_kept() -> None:
    client = served("a")
    assert client.unsub(R, "a") == []
    assert said(client.poll(after=5.1)) == [("Cluster", [], ["a/v1"])]
    client.answer()
    client.unsub(E, "a/v1")
    assert client.state(C) == client.state(R) == client.state(E) == 0


def test_a_cluster_of_two_routes_stays_until_the_last_is_gone() -> None:
    def shared(name: str) -> list:  # type: ignore[type-arg]
        return [res(R, name, name, needs=("c",))]

    client = Cold()
    client.show(shared("a"), shared("b"), [res(C, "c")])
    client.start()
    client.sub(R, "a", "b")
    client.answer()
    assert client.clusters == {"c"}
    client.unsub(R, "a")
    assert client.poll(after=100) == []
    client.unsub(R, "b")
    assert said(client.poll(after=5.1)) == [("Cluster", [], ["c"])]


def test_a_route_asked_for_again_in_time_finds_its_cluster_in_place() -> None:
    client = served("a")
    client.unsub(R, "a")
    client.poll(after=3)
    assert said(client.sub(R, "a")) == [("RouteConfiguration", ["a"], [])]
    client.answer()
    assert client.poll(after=100) == []


def test_a_route_asked_for_while_its_cluster_is_taken_away_waits_for_it_to_come_back() -> None:
    client = served("a")
    client.unsub(R, "a")
    assert said(client.poll(after=5.1)) == [("Cluster", [], ["a/v1"])]
    assert client.sub(R, "a") == []
    assert said(client.ack(C)) == [("Cluster", ["a/v1"], []), ("ClusterLoadAssignment", ["a/v1"], [])]
    assert said(client.ack(C)) == [("RouteConfiguration", ["a"], [])]


def test_H1_who_comes_back_keeps_its_clusters_until_it_has_told_its_routes() -> None:
    client = served("a")
    again = come_back(client)
    assert again.answer() == []
    assert again.poll(after=14) == []
    assert again.sub(R, "a", initial_versions=held(client, R)) == []
    assert again.poll(after=100) == []
    assert again.clusters == {"a/v1"}
    assert again.stream.channels[C].quiet


def test_H1_who_comes_back_loses_the_clusters_that_its_routes_do_not_lead_to() -> None:
    client = served("a", "b")
    again = come_back(client)
    again.sub(R, "a", initial_versions={"a": held(client, R)["a"]})
    again.poll()
    assert said(again.poll(after=5.1)) == [("Cluster", [], ["b/v1"])]


def test_H1_who_comes_back_and_never_tells_of_routes_loses_its_clusters_in_the_end() -> None:
    again = come_back(served("a"))
    assert again.poll(after=14.9) == []
    assert said(again.poll(after=0.2)) == [("Cluster", [], ["a/v1"])]


def test_H1_what_changed_while_the_client_was_away_is_made_up_for() -> None:
    client = served("a")
    versions = {type_url: held(client, type_url) for type_url in (C, P, R)}
    again = Cold()
    again.show(model("a", "v2"), model("b", body="2"))
    for type_url in (C, P):
        again.sub(type_url, initial_versions=versions[type_url])
    assert said(again.sub(R, "a", initial_versions=versions[R])) == [("Cluster", ["a/v2"], [])]
    assert said(again.ack(C)) == [("RouteConfiguration", ["a"], [])]
    assert again.ack(R) == []
    assert said(again.poll(after=5.1)) == [("Cluster", [], ["a/v1"])]
    again.ack(C)
    assert again.clusters == {"a/v2"}


def test_H1_a_cluster_whose_content_changed_meanwhile_is_sent_when_its_route_is_told() -> None:
    client = served("a")
    again = Cold()
    again.show(model("a", body="2"), model("b"))
    assert again.sub(C, initial_versions=held(client, C)) == []
    assert said(again.sub(R, "a", initial_versions=held(client, R))) == [("Cluster", ["a/v1"], [])]


def test_a_model_that_becomes_warm_is_sent_and_one_that_becomes_cold_goes_unless_it_is_in_use() -> None:
    client = served("a")
    warm = client.show(warm=[*model("a"), *model("b")])
    assert said(warm) == [("Cluster", ["b/v1"], [])]
    client.answer()
    assert client.show(model("a"), model("b")) == []
    client.poll()
    assert said(client.poll(after=5.1)) == [("Cluster", [], ["b/v1"])]
    client.answer()
    assert client.clusters == {"a/v1"}


def test_a_delivery_that_changes_sends_what_is_missing_and_takes_back_what_is_too_much() -> None:
    client = served("a")
    eager = [*model("a"), *model("b")]
    assert said(client.see(*eager)) == [("Cluster", ["b/v1"], [])]
    client.answer()
    assert client.show(model("a"), model("b")) == []
    assert said(client.poll(after=5.1)) == [("Cluster", [], ["b/v1"])]
    client.answer()
    assert client.clusters == {"a/v1"}


def test_routes_given_up_under_another_delivery_are_not_followed_afterwards() -> None:
    client = served("a", "b")
    client.see(*model("a"), *model("b"))
    client.unsub(R, "a")
    client.show(model("a"), model("b"))
    assert said(client.poll(after=5.1)) == [("Cluster", [], ["a/v1"])]


def test_M6_a_cluster_in_reserve_is_there_for_whoever_names_it() -> None:
    client = Cold()
    client.show(model("a"))
    client.start()
    assert said(client.sub(C, "a/v1")) == [("Cluster", ["a/v1"], [])]
    client.ack(C)
    assert said(client.show(model("a", body="2"))) == [("Cluster", ["a/v1"], [])]
    client.ack(C)
    # Everything goes on, and without its name the cluster is no part of it. Who drops a name is answered: with the
    # cluster as it has it, until nothing can lead there any more.
    assert said(client.unsub(C, "a/v1")) == [("Cluster", ["a/v1"], [])]
    client.ack(C)
    assert said(client.poll(after=15.1)) == [("Cluster", [], ["a/v1"])]


def test_I6_a_refused_cluster_holds_back_what_replaces_a_good_route_until_it_is_mended() -> None:
    client = served("a")
    client.show(model("a", "v2"), model("b"))
    assert client.nack(C, "Error adding/updating cluster(s) a/v2: no") == []
    assert client.poll(after=100) == []
    assert client.clusters == {"a/v1"}
    assert said(client.show(model("a", "v2", body="good"), model("b"))) == [("Cluster", ["a/v2"], [])]
    assert said(client.ack(C)) == [("RouteConfiguration", ["a"], [])]


def test_a_cluster_of_a_refused_response_is_taken_back_on_the_next_stream_unless_it_is_followed() -> None:
    client = served("a")
    client.show(model("a", "v2"), model("b"))
    client.nack(C, "Error adding/updating cluster(s) a/v2: no")
    left = client.stream.estate()[C]  # type: ignore[union-attr]
    assert left == {"a/v2"}
    again = Cold()
    again.stream.inherit = lambda type_url: left if type_url == C else ()
    again.show(model("a", "v1"), model("b"), model("x", "v2"), [res(C, "a/v2")])
    again.sub(C, initial_versions=held(client, C))
    again.sub(R, "a", initial_versions=held(client, R))
    again.poll()
    assert said(again.poll(after=5.1)) == [("Cluster", [], ["a/v2"])]
