from __future__ import annotations

from tests.xds.machine.conversation import C, Delta, E, L, P, R, res, said
from xds_server.protocol import Accepted, Refused
from xds_server.snapshot import Resource


def subscribed(type_url: str, *resources: Resource, names: tuple[str, ...] = ()) -> Delta:
    """A client that has acknowledged its first answer."""
    client = Delta(cluster_grace=0.0)
    client.see(*resources)
    if client.sub(type_url, *names):
        client.ack(type_url)
    return client


def test_E1_G6_C1_wildcard_gets_everything_with_versions_and_a_nonce() -> None:
    client = Delta()
    client.see(res(C, "b"), res(C, "a"), res(E, "a"))
    (response,) = client.sub(C)
    assert said([response]) == [("Cluster", ["a", "b"], [])]
    assert response.nonce
    assert all(resource.version for resource in response.resources)


def test_D2_an_ack_causes_no_response() -> None:
    client = Delta()
    client.see(res(C, "a"))
    client.sub(C)
    assert client.ack(C) == []
    assert isinstance(client.events[0], Accepted)
    assert client.poll(after=1000) == []


def test_G1_an_update_of_one_sends_that_one() -> None:
    client = subscribed(C, res(C, "a"), res(C, "b"))
    assert said(client.see(res(C, "a", "2"), res(C, "b"))) == [("Cluster", ["a"], [])]


def test_G7_an_equal_view_sends_nothing() -> None:
    client = subscribed(C, res(C, "a"))
    assert client.see(res(C, "a")) == []


def test_G2_a_deletion_is_sent_once() -> None:
    client = subscribed(C, res(C, "a"), res(C, "b"))
    assert said(client.see(res(C, "a"))) == [("Cluster", [], ["b"])]
    assert client.ack(C) == []
    assert said(client.see(res(C, "a", "2"))) == [("Cluster", ["a"], [])]


def test_G3_E12_a_missing_name_is_called_removed_and_stays_subscribed() -> None:
    client = Delta()
    client.see(res(E, "other"))
    assert said(client.sub(E, "a")) == [("ClusterLoadAssignment", [], ["a"])]
    assert client.ack(E) == []
    assert said(client.see(res(E, "a"))) == [("ClusterLoadAssignment", ["a"], [])]


def test_E6_an_empty_first_request_for_a_named_type_is_not_answered() -> None:
    client = Delta()
    client.see(res(E, "a"), res(R, "r"))
    assert client.sub(E) == []
    assert client.sub(R) == []
    assert client.see(res(E, "a", "2"), res(R, "r", "2")) == []


def test_E7_an_empty_first_request_for_scopes_asks_for_all() -> None:
    client = Delta()
    client.see(res(P, "a"), res(P, "b"))
    assert said(client.sub(P)) == [("ScopedRouteConfiguration", ["a", "b"], [])]


def test_E9_only_subscribed_names_are_sent() -> None:
    client = subscribed(E, res(E, "a"), res(E, "b"), names=("a",))
    assert client.see(res(E, "a"), res(E, "b", "2")) == []


def test_E10_E19_a_name_asked_for_again_is_sent_again() -> None:
    client = subscribed(E, res(E, "a"), names=("a",))
    assert said(client.sub(E, "a")) == [("ClusterLoadAssignment", ["a"], [])]


def test_E11_G8_unsubscribe_is_silent_and_subscribing_again_sends() -> None:
    client = subscribed(E, res(E, "a"), names=("a",))
    assert client.unsub(E, "a") == []
    assert client.see(res(E, "a", "2")) == []
    assert said(client.sub(E, "a")) == [("ClusterLoadAssignment", ["a"], [])]


def test_E14_many_requests_with_one_name_end_like_one_with_many() -> None:
    one, many = Delta(), Delta()
    for client in (one, many):
        client.see(res(E, "a"), res(E, "b"), res(E, "c"))
    one.sub(E, "a", "b", "c")
    one.ack(E)
    many.sub(E, "a")
    many.sub(E, "b")
    many.sub(E, "c")
    while many.stream.channels[E].flight:
        many.ack(E)
    assert one.stream.channels[E].held == many.stream.channels[E].held


def test_E17_a_name_unsubscribed_meanwhile_is_not_sent() -> None:
    client = subscribed(E, res(E, "a"), res(E, "b"), names=("a", "b"))
    client.see(res(E, "a", "2"), res(E, "b"))
    assert client.see(res(E, "a", "2"), res(E, "b", "2")) == []
    client.unsub(E, "b")
    assert client.ack(E) == []


def test_E20_dropping_a_name_under_a_wildcard_is_answered() -> None:
    client = subscribed(C, res(C, "a"))
    assert said(client.sub(C, "a", "zz")) == [("Cluster", ["a"], ["zz"])]
    client.ack(C)
    assert said(client.unsub(C, "a")) == [("Cluster", ["a"], [])]
    client.ack(C)
    assert said(client.unsub(C, "zz")) == [("Cluster", [], ["zz"])]


def test_E4_after_the_wildcard_ends_only_names_are_served() -> None:
    client = subscribed(C, res(C, "a"), res(C, "b"))
    client.sub(C, "a")
    client.ack(C)
    assert client.unsub(C, "*") == []
    assert said(client.see(res(C, "a", "2"), res(C, "b", "2"))) == [("Cluster", ["a"], [])]
    client.ack(C)
    assert client.unsub(C, "a") == []
    assert client.see(res(C, "a", "3"), res(C, "b", "3")) == []


def test_C5_a_stale_nonce_still_carries_its_subscription() -> None:
    client = subscribed(E, res(E, "a"), res(E, "b"), names=("a",))
    assert said(client.sub(E, "b", nonce="stale")) == [("ClusterLoadAssignment", ["b"], [])]


def test_C6_a_request_without_nonce_is_no_ack() -> None:
    client = Delta()
    client.see(res(E, "a"), res(E, "b"))
    client.sub(E, "a")
    assert client.sub(E, "b") == []
    assert client.stream.channels[E].flight is not None
    assert said(client.ack(E)) == [("ClusterLoadAssignment", ["b"], [])]


def test_C2_types_have_nonces_of_their_own() -> None:
    client = Delta()
    client.see(res(C, "a"), res(E, "a"))
    client.sub(C)
    client.sub(E, "a")
    assert client.nonces[C] != client.nonces[E]
    client.ack(C)
    assert client.stream.channels[E].flight is not None
    assert client.stream.channels[C].flight is None


def test_C7_H6_a_first_request_with_an_old_nonce_and_error_is_an_initial_one() -> None:
    client = Delta()
    client.see(res(C, "a"))
    assert said(client.sub(C, nonce="old", error="from before")) == [("Cluster", ["a"], [])]
    assert client.events == []


def test_G9_one_in_flight_and_the_rest_in_one_response_with_the_latest() -> None:
    client = Delta()
    client.see(res(C, "a"), res(C, "b"))
    client.sub(C)
    for body in "23456":
        assert client.see(res(C, "a", body), res(C, "b")) == []
    (response,) = client.ack(C)
    assert [(r.name, r.body) for r in response.resources] == [("a", b"6")]


def test_C9_G4_a_change_that_is_undone_before_it_is_sent_is_not_sent() -> None:
    client = Delta()
    client.see(res(C, "a"))
    client.sub(C)
    client.see(res(C, "a", "2"))
    client.see(res(C, "a"))
    assert client.ack(C) == []


def test_G11_a_rename_is_one_response() -> None:
    client = subscribed(L, res(L, "x"))
    assert said(client.see(res(L, "y"))) == [("Listener", ["y"], ["x"])]


def test_H1_reconnect_sends_only_what_changed_is_missing_or_gone() -> None:
    client = Delta(cluster_grace=0.0)
    same, changed, new = res(C, "same"), res(C, "changed", "2"), res(C, "new")
    client.see(same, changed, new)
    held = {"same": same.version, "changed": res(C, "changed").version, "gone": "1"}
    assert said(client.sub(C, initial_versions=held)) == [("Cluster", ["changed", "new"], ["gone"])]


def test_H1_reconnect_with_everything_is_silent() -> None:
    client = Delta()
    a, b = res(C, "a"), res(E, "a")
    client.see(a, b)
    assert client.sub(C, initial_versions={"a": a.version}) == []
    assert client.sub(E, "a", initial_versions={"a": b.version}) == []
    assert said(client.see(res(C, "a", "2"), b)) == [
        ("Cluster", ["a"], []),
        ("ClusterLoadAssignment", ["a"], []),
    ]


def test_H2_initial_versions_of_later_requests_are_ignored() -> None:
    client = subscribed(E, res(E, "a"), res(E, "b"), names=("a",))
    later = client.sub(E, "b", initial_versions={"b": res(E, "b").version})
    assert said(later) == [("ClusterLoadAssignment", ["b"], [])]


def test_H3_a_subscribed_name_without_initial_version_is_sent() -> None:
    client = Delta()
    a = res(R, "a")
    client.see(a, res(R, "b"))
    first = client.sub(R, "a", "b", "c", initial_versions={"a": a.version})
    assert said(first) == [("RouteConfiguration", ["b"], ["c"])]


def test_H4_endpoints_first_on_a_new_stream_are_sent_in_full() -> None:
    client = Delta()
    a, b = res(E, "a"), res(E, "b")
    client.see(a, b)
    first = client.sub(E, "a", "b", initial_versions={"a": a.version, "b": b.version})
    assert said(first) == [("ClusterLoadAssignment", ["a", "b"], [])]


def test_H5_unknown_initial_versions_lead_to_a_resend() -> None:
    client = Delta()
    client.see(res(C, "a"))
    assert said(client.sub(C, initial_versions={"a": "of another server"})) == [("Cluster", ["a"], [])]


def test_H7_listeners_and_routes_before_clusters_are_answered_at_once() -> None:
    client = Delta()
    client.see(res(C, "a"), res(L, "l", needs=("a",)), res(R, "r", needs=("a",)))
    assert said(client.sub(L)) == [("Listener", ["l"], [])]
    assert said(client.sub(R, "r")) == [("RouteConfiguration", ["r"], [])]


def test_F5_nothing_is_said_before_the_first_view() -> None:
    client = Delta()
    assert client.sub(C) == []
    assert client.sub(E, "a", "zz") == []
    assert client.poll(after=1000) == []
    assert said(client.see(res(C, "a"), res(E, "a"))) == [
        ("Cluster", ["a"], []),
        ("ClusterLoadAssignment", ["a"], ["zz"]),
    ]


def test_F6_an_empty_set_is_answered_at_once_and_once() -> None:
    client = Delta()
    client.see()
    assert said(client.sub(C)) == [("Cluster", [], [])]
    assert client.ack(C) == []


def test_D3_D4_D9_D11_a_refused_resource_is_not_sent_again_until_it_changes() -> None:
    client = subscribed(C, res(C, "a"))
    client.see(res(C, "a", "bad"))
    assert client.nack(C, "no such   thing goo.gle/debugonly") == []
    (_, event) = client.events
    assert isinstance(event, Refused)
    assert event.text == "no such thing"
    assert [(r.resource.name, r.resource.origin) for r in event.refusals] == [("a", "a.yaml:1")]
    channel = client.stream.channels[C]
    held = channel.held["a"]
    assert held is not None
    assert held.body == b"1"
    assert client.see(res(C, "a", "bad"), res(E, "x")) == []
    assert said(client.see(res(C, "a", "good"))) == [("Cluster", ["a"], [])]
    assert channel.refusals
    client.ack(C)
    assert channel.refusals == {}


def test_D4_going_back_to_the_accepted_content_is_sent_and_clears_the_refusal() -> None:
    client = subscribed(C, res(C, "a"))
    client.see(res(C, "a", "bad"))
    client.nack(C)
    assert said(client.see(res(C, "a"))) == [("Cluster", ["a"], [])]
    client.ack(C)
    assert client.stream.channels[C].refusals == {}


def test_D7_a_refusal_of_one_type_does_not_stop_others() -> None:
    client = subscribed(C, res(C, "a"))
    client.sub(L)
    client.ack(L)
    client.see(res(C, "a", "bad"))
    client.nack(C)
    assert said(client.see(res(C, "a", "bad"), res(L, "l"))) == [("Listener", ["l"], [])]


def test_D10_the_accepted_half_of_a_refused_response_is_taken_back() -> None:
    client = subscribed(L, res(L, "l"))
    client.see(res(L, "l"), res(L, "bad"), res(L, "good"))
    assert said(client.nack(L, "could not do it")) == [("Listener", ["bad"], [])]
    client.see(res(L, "l"))
    assert said(client.nack(L, "could not do it")) == [("Listener", [], ["bad", "good"])]


def test_D12_only_the_resource_complained_of_is_held_back() -> None:
    client = subscribed(L, res(L, "l"))
    client.see(res(L, "l"), res(L, "bad"), res(L, "good"))
    again = client.nack(L, "Error adding/updating listener(s) bad: no")
    assert said(again) == [("Listener", ["good"], [])]
    assert client.ack(L) == []
    assert said(client.see(res(L, "l", "2"), res(L, "bad"), res(L, "good"))) == [("Listener", ["l"], [])]
    assert list(client.stream.channels[L].refusals) == ["bad"]


def test_D10_removals_of_a_refused_response_ride_on_the_next() -> None:
    client = subscribed(L, res(L, "a"), res(L, "old"))
    assert said(client.see(res(L, "a", "bad"))) == [("Listener", ["a"], ["old"])]
    assert client.nack(L) == []
    assert said(client.see(res(L, "a", "2"))) == [("Listener", ["a"], ["old"])]


def test_A4_a_type_that_is_not_served_has_its_names_called_missing() -> None:
    client = Delta()
    client.see(res(C, "a"))
    assert said(client.sub("type.googleapis.com/envoy.service.runtime.v3.Runtime", "rtds")) == [
        ("Runtime", [], ["rtds"])
    ]
    assert said(client.sub(C)) == [("Cluster", ["a"], [])]
