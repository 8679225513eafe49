from __future__ import annotations

from tests.xds.machine.conversation import C, E, L, P, R, Sotw, res, said
from xds_server.protocol import Accepted, Refused
from xds_server.snapshot import Resource


def subscribed(type_url: str, *resources: Resource, names: tuple[str, ...] = ()) -> Sotw:
    """A client that has acknowledged its first answer."""
    client = Sotw(cluster_grace=0.0)
    client.see(*resources)
    client.ask(type_url, *names)
    client.ack(type_url, *names)
    return client


def test_E1_F1_F7_everything_of_a_wildcard_type_in_one_message() -> None:
    client = Sotw()
    client.see(res(C, "b"), res(C, "a"), res(E, "a"))
    assert said(client.ask(C)) == [("Cluster", ["a", "b"], [])]


def test_D2_an_ack_causes_no_response() -> None:
    client = subscribed(C, res(C, "a"))
    assert isinstance(client.events[0], Accepted)
    assert client.poll(after=1000) == []


def test_F1_F2_a_change_sends_the_full_set_of_wildcard_types() -> None:
    for type_url in (C, L, P):
        client = subscribed(type_url, res(type_url, "a"), res(type_url, "b"))
        (response,) = client.see(res(type_url, "a", "2"), res(type_url, "b"))
        assert [r.name for r in response.resources] == ["a", "b"]
        client.ack(type_url)
        (response,) = client.see(res(type_url, "a", "2"))
        assert [r.name for r in response.resources] == ["a"]


def test_F3_a_change_sends_only_what_changed_of_named_types() -> None:
    client = subscribed(R, res(R, "a"), res(R, "b"), names=("a", "b"))
    assert said(client.see(res(R, "a", "2"), res(R, "b"))) == [("RouteConfiguration", ["a"], [])]
    client.ack(R, "a", "b")
    assert client.see(res(R, "a", "2")) == []


def test_F4_removal_of_the_last_sends_an_empty_set_once() -> None:
    client = subscribed(L, res(L, "a"))
    assert said(client.see()) == [("Listener", [], [])]
    assert client.ack(L) == []


def test_F5_nothing_is_said_before_the_first_view() -> None:
    client = Sotw()
    assert client.ask(C) == []
    assert client.ask(E, "a") == []
    assert said(client.see(res(C, "a"), res(E, "a"))) == [
        ("Cluster", ["a"], []),
        ("ClusterLoadAssignment", ["a"], []),
    ]


def test_F6_an_empty_set_is_answered_at_once_and_once() -> None:
    client = Sotw()
    client.see()
    assert said(client.ask(C)) == [("Cluster", [], [])]
    assert client.ack(C) == []


def test_F8_versions_change_only_with_content() -> None:
    client = subscribed(C, res(C, "a"))
    first = client.versions[C]
    assert client.see(res(C, "a"), res(E, "a")) == []
    client.see(res(C, "a", "2"))
    second = client.versions[C]
    client.ack(C)
    client.see(res(C, "a"))
    assert first == client.versions[C] != second


def test_F9_H12_versions_are_the_same_on_another_server() -> None:
    one = subscribed(C, res(C, "a"), res(C, "b"))
    other = subscribed(C, res(C, "b"), res(C, "a"))
    assert one.versions[C] == other.versions[C]


def test_F11_reconnect_with_the_current_version_is_silent_and_then_follows() -> None:
    before = subscribed(C, res(C, "a"), res(C, "b"))
    client = Sotw(cluster_grace=0.0)
    client.see(res(C, "a"), res(C, "b"))
    assert client.ask(C, version=before.versions[C]) == []
    assert said(client.see(res(C, "a", "2"), res(C, "b"))) == [("Cluster", ["a", "b"], [])]


def test_F11_with_names_beside_the_wildcard_everything_is_sent() -> None:
    before = subscribed(C, res(C, "a"))
    client = Sotw()
    client.see(res(C, "a"))
    assert said(client.ask(C, "*", "zz", version=before.versions[C])) == [("Cluster", ["a"], [])]


def test_F12_reconnect_with_an_old_version_gets_the_full_set() -> None:
    client = Sotw()
    client.see(res(C, "a"), res(C, "b"))
    assert said(client.ask(C, version="old")) == [("Cluster", ["a", "b"], [])]


def test_E3_the_sequence_of_the_specification() -> None:
    client = Sotw()
    a, b = res(L, "A"), res(L, "B")
    client.see(a, b)
    assert said(client.ask(L)) == [("Listener", ["A", "B"], [])]
    assert client.ack(L) == []
    assert said(client.ask(L, "*", "A", nonce=client.nonces[L])) == [("Listener", ["A", "B"], [])]
    client.ack(L, "*", "A")
    assert client.ask(L, "A", nonce=client.nonces[L]) == []
    assert client.see(a, res(L, "B", "2")) == []
    assert said(client.see(res(L, "A", "2"), res(L, "B", "2"))) == [("Listener", ["A"], [])]
    client.ack(L, "A")
    assert client.ask(L, nonce=client.nonces[L]) == []
    assert client.see(res(L, "A", "3"), res(L, "B", "3")) == []


def test_E6_reconnect_with_no_routes_asks_for_nothing() -> None:
    client = Sotw()
    client.see(res(R, "r"))
    assert client.ask(R, version="1") == []
    assert said(client.ask(R, "r")) == [("RouteConfiguration", ["r"], [])]


def test_E12_a_missing_name_is_sent_when_it_comes() -> None:
    client = Sotw()
    client.see()
    assert client.ask(E, "a") == []
    assert said(client.see(res(E, "a"))) == [("ClusterLoadAssignment", ["a"], [])]


def test_E13_another_order_of_names_in_an_ack_asks_nothing() -> None:
    client = Sotw()
    client.see(res(E, "a"), res(E, "b"))
    client.ask(E, "a", "b")
    assert client.ack(E, "b", "a", "b") == []


def test_E10_E11_newly_asked_names_are_sent() -> None:
    client = subscribed(E, res(E, "a"), res(E, "b"), names=("a",))
    assert said(client.ask(E, "a", "b", nonce=client.nonces[E])) == [("ClusterLoadAssignment", ["b"], [])]
    client.ack(E, "a", "b")
    assert client.ask(E, "b", nonce=client.nonces[E]) == []
    assert said(client.ask(E, "a", "b", nonce=client.nonces[E])) == [("ClusterLoadAssignment", ["a"], [])]


def test_E16_no_names_after_names_ends_the_subscription() -> None:
    client = subscribed(E, res(E, "a"), names=("a",))
    assert client.ask(E, nonce=client.nonces[E]) == []
    assert client.see(res(E, "a", "2")) == []


def test_C3_C4_a_stale_request_is_not_answered_and_its_name_comes_with_the_next() -> None:
    client = Sotw()
    client.see(res(E, "a"), res(E, "b"))
    client.ask(E, "a")
    first = client.nonces[E]
    client.ack(E, "a")
    client.see(res(E, "a", "2"), res(E, "b"))
    assert client.ask(E, "a", "b", nonce=first) == []
    assert client.stream.channels[E].flight is not None
    assert said(client.ack(E, "a", "b")) == [("ClusterLoadAssignment", ["b"], [])]


def test_C7_H6_a_first_request_with_an_old_nonce_and_error_is_an_initial_one() -> None:
    client = Sotw()
    client.see(res(C, "a"))
    assert said(client.ask(C, nonce="old", version="1", error="before")) == [("Cluster", ["a"], [])]
    assert client.events == []


def test_C7_until_something_was_sent_no_nonce_is_stale() -> None:
    client = Sotw()
    client.see(res(E, "b"))
    assert client.ask(E, "a", nonce="old") == []
    assert said(client.ask(E, "a", "b", nonce="old")) == [("ClusterLoadAssignment", ["b"], [])]


def test_C8_a_late_request_without_nonce_is_honoured() -> None:
    client = Sotw()
    client.see(res(E, "a"), res(E, "b"))
    client.ask(E, "a")
    assert client.ask(E, "a", "b") == []
    assert said(client.ack(E, "a", "b")) == [("ClusterLoadAssignment", ["b"], [])]


def test_J2_a_repeated_request_for_endpoints_is_answered() -> None:
    client = subscribed(E, res(E, "a"), res(E, "b"), names=("a", "b"))
    again = client.ask(E, "b", "a", nonce=client.nonces[E], version=client.versions[E])
    assert said(again) == [("ClusterLoadAssignment", ["a", "b"], [])]


def test_D3_D4_a_refused_set_is_not_sent_again_until_it_changes() -> None:
    client = subscribed(C, res(C, "a"))
    client.see(res(C, "a", "bad"))
    assert client.nack(C) == []
    assert client.poll(after=1000) == []
    assert said(client.see(res(C, "a", "good"))) == [("Cluster", ["a"], [])]
    client.ack(C)
    assert client.stream.channels[C].refusals == {}


def test_D12_a_refused_resource_stays_at_its_accepted_version_while_others_move() -> None:
    client = subscribed(C, res(C, "a"), res(C, "b"))
    client.see(res(C, "a", "bad"), res(C, "b"))
    client.nack(C, error="Error adding/updating cluster(s) a: no")
    (response,) = client.see(res(C, "a", "bad"), res(C, "b", "2"))
    assert [(r.name, r.body) for r in response.resources] == [("a", b"1"), ("b", b"2")]
    client.ack(C)
    assert list(client.stream.channels[C].refusals) == ["a"]
    (response,) = client.see(res(C, "a", "good"), res(C, "b", "2"))
    assert [r.body for r in response.resources] == [b"good", b"2"]
    client.ack(C)
    assert client.stream.channels[C].refusals == {}


def test_D4_what_is_mended_by_going_back_to_what_was_accepted_is_no_longer_refused() -> None:
    for type_url in (C, L, P):
        client = subscribed(type_url, res(type_url, "a"), res(type_url, "b"))
        client.see(res(type_url, "a", "bad"), res(type_url, "b", "2"), res(type_url, "c"))
        client.nack(type_url, error="a is bad")
        client.ack(type_url)
        assert client.stream.channels[type_url].refusals.keys() == {"a"}
        client.see(res(type_url, "a"), res(type_url, "b", "2"), res(type_url, "c"))
        client.ack(type_url)
        assert client.stream.channels[type_url].refusals == {}
        assert client.stream.in_step


def test_D12_what_was_never_accepted_on_the_stream_is_not_taken_from_the_client() -> None:
    client = Sotw()
    client.see(res(L, "a", "bad"), res(L, "b"))
    client.ask(L, version="of before")
    client.nack(L, error="something is wrong")
    (response,) = client.see(res(L, "a", "bad"), res(L, "b", "2"))
    assert [(r.name, r.body) for r in response.resources] == [("a", b"bad"), ("b", b"2")]


def test_D12_the_rest_of_a_refused_answer_is_sent_again_where_envoy_may_have_stopped() -> None:
    client = subscribed(R, res(R, "a"), res(R, "b"), names=("a", "b"))
    client.see(res(R, "a", "bad"), res(R, "b", "2"))
    assert said(client.nack(R, "a", "b", error="route 'a' is bad")) == [("RouteConfiguration", ["b"], [])]
    assert client.ack(R, "a", "b") == []


def test_D6_an_error_on_a_version_that_was_accepted_does_not_roll_it_back() -> None:
    client = subscribed(C, res(C, "a"))
    client.see(res(C, "a", "2"))
    client.ask(C, nonce=client.nonces[C], version=client.versions[C], error="duplicate cluster z")
    refused = client.events[-1]
    assert isinstance(refused, Refused)
    assert refused.refusals == ()
    held = client.stream.channels[C].held["a"]
    assert held is not None
    assert held.body == b"2"


def test_D6_Q3_what_an_accepting_error_names_is_refused_and_the_rest_and_the_version_stay() -> None:
    client = subscribed(C, res(C, "a"), res(C, "z"))
    client.see(res(C, "a", "2"), res(C, "z", "2"))
    refusing = client.ask(C, nonce=client.nonces[C], version=client.versions[C], error="z: not supported")
    assert refusing == []
    channel = client.stream.channels[C]
    assert list(channel.refusals) == ["z"]
    assert (channel.held["a"].body, channel.held["z"].body) == (b"2", b"2")
    (response,) = client.see(res(C, "a", "3"), res(C, "z", "2"))
    assert [r.body for r in response.resources] == [b"3", b"2"]
    client.ack(C)
    assert not channel.refusals


def test_D6_a_refusal_of_new_names_at_an_unchanged_version_is_a_refusal() -> None:
    client = subscribed(R, res(R, "a"), res(R, "b"), names=("a",))
    client.ask(R, "a", "b", nonce=client.nonces[R], version=client.versions[R])
    assert client.nack(R, "a", "b", error="b is bad") == []
    assert list(client.stream.channels[R].refusals) == ["b"]


def test_G9_one_in_flight_and_the_rest_in_one_response_with_the_latest() -> None:
    client = Sotw()
    client.see(res(C, "a"))
    client.ask(C)
    for body in "23456":
        assert client.see(res(C, "a", body)) == []
    (response,) = client.ack(C)
    assert [r.body for r in response.resources] == [b"6"]


def test_N4_a_thousand_changes_against_a_silent_client_are_one_response() -> None:
    client = Sotw()
    client.see(res(C, "a"))
    client.ask(C)
    for turn in range(1000):
        assert client.see(res(C, "a", str(turn))) == []
    assert client.stream.channels[C].dirty == {"a"}
    (response,) = client.ack(C)
    assert response.resources[0].body == b"999"
    assert client.ack(C) == []


def test_Q1_Q5_named_listeners_and_clusters_are_a_full_set_of_what_is_named() -> None:
    client = Sotw(cluster_grace=0.0)
    client.see(res(L, "svc"), res(L, "other"))
    assert said(client.ask(L, "svc")) == [("Listener", ["svc"], [])]
    client.ack(L, "svc")
    assert said(client.ask(L, "svc", "other", nonce=client.nonces[L])) == [("Listener", ["other", "svc"], [])]
    client.ack(L, "svc", "other")
    assert said(client.see(res(L, "other"))) == [("Listener", ["other"], [])]


def test_Q1_a_named_listener_that_does_not_exist_is_told_by_its_absence() -> None:
    client = Sotw()
    client.see()
    assert said(client.ask(L, "svc")) == [("Listener", [], [])]
