"""What the random conversations found, as short ones."""

from __future__ import annotations

from tests.xds.machine.conversation import C, Delta, E, L, P, R, Sotw, X, res, said, view
from xds_server.protocol import Request


def test_I7_a_listener_that_waited_long_enough_is_in_the_full_set() -> None:
    client = Sotw()
    client.see(res(L, "l"))
    client.ask(C)
    client.ack(C)
    client.ask(L)
    client.ack(L)
    assert said(client.see(res(L, "l", "2", needs=("c",)), res(C, "c"))) == [("Cluster", ["c"], [])]
    deadline = client.stream.deadline
    assert deadline is not None
    (response,) = client.poll(after=deadline - client.now)
    assert [(r.name, r.body) for r in response.resources] == [("l", b"2")]
    client.ack(L)
    assert client.poll(after=1000) == []


def test_E16_nothing_is_sent_to_who_stopped_asking_before_the_answer() -> None:
    client = Sotw()
    client.ask(C, "c")
    client.ask(C)
    assert client.see(res(C, "c")) == []


def test_J3_I7_a_warming_cluster_is_told_at_once_that_its_endpoints_are_gone() -> None:
    client = Delta()
    client.see(res(C, "a"), res(E, "a"))
    client.sub(C)
    client.sub(E, "a")
    client.ack(C)
    client.ack(E)
    client.see(res(C, "a", "bad"), res(E, "a"))
    client.ack(E)
    client.nack(C, "a is bad")
    # Endpoints are taken away when the clusters are settled, and these are not.
    assert client.see(res(C, "a", "bad")) == []
    # Envoy acknowledges the cluster when it has heard of the endpoints.
    assert said(client.see(res(C, "a", "2"))) == [
        ("Cluster", ["a"], []),
        ("ClusterLoadAssignment", [], ["a"]),
    ]


def test_I4_a_cluster_asked_for_again_while_a_route_uses_it_is_not_called_missing() -> None:
    client = Delta(cluster_grace=0.0)
    client.see(res(C, "a"), res(R, "r", needs=("a",)))
    client.sub(C, "*", "a")
    client.ack(C)
    client.sub(R, "r")
    client.ack(R)
    assert said(client.see(res(R, "r", "2"))) == [("RouteConfiguration", ["r"], [])]
    assert said(client.sub(C, "a")) == [("Cluster", ["a"], [])]
    assert client.ack(C) == []
    assert said(client.ack(R)) == [("Cluster", [], ["a"])]


def test_J1_D12_what_replaces_a_refused_cluster_is_followed_by_its_endpoints() -> None:
    client = Sotw()
    first = [res(C, "a"), res(C, "b"), res(E, "a"), res(E, "b")]
    client.see(*first)
    client.ask(C)
    client.ask(E, "a", "b")
    client.ack(C)
    client.ack(E, "a", "b")
    client.see(res(C, "a", "bad"), res(C, "b", "2"), *first[2:])
    client.ack(E, "a", "b")
    # Envoy has the new `b`, and is tried with the old one.
    tried = client.nack(C, error="something is bad")
    assert said(tried) == [
        ("Cluster", ["a", "b"], []),
        ("ClusterLoadAssignment", ["a", "b"], []),
    ]
    assert [r.body for r in tried[0].resources] == [b"bad", b"1"]


def test_E17_D10_a_name_given_up_before_a_refusal_is_not_called_missing_again() -> None:
    client = Delta()
    client.see(res(R, "r", "bad"))
    assert said(client.sub(R, "r", "none")) == [("RouteConfiguration", ["r"], ["none"])]
    client.unsub(R, "none")
    assert client.nack(R, "r is bad") == []
    assert said(client.see(res(R, "r", "2"))) == [("RouteConfiguration", ["r"], [])]


def test_E19_I4_a_cluster_asked_for_again_that_stays_a_while_is_sent_as_it_is_held() -> None:
    client = Delta(cluster_grace=5.0)
    client.see(res(C, "a"), res(C, "b"), res(R, "r", needs=("a",)))
    client.sub(C, "*", "a")
    client.ack(C)
    client.sub(R, "r")
    client.ack(R)
    assert said(client.see(res(C, "a"), res(C, "b", "2"), res(R, "r", needs=("a",)))) == [
        ("Cluster", ["b"], [])
    ]
    # It goes, and is asked for, before the clusters are looked at.
    assert said(client.see(res(C, "b", "2"), res(R, "r", "bad"))) == [("RouteConfiguration", ["r"], [])]
    assert client.sub(C, "a") == []
    assert said(client.ack(C)) == [("Cluster", ["a"], [])]
    client.nack(R, "r is bad")
    assert client.ack(C) == []
    assert client.poll(after=1000) == []
    assert said(client.sub(C, "a")) == [("Cluster", ["a"], [])]
    client.ack(C)
    client.see(res(C, "b", "2"), res(R, "r", "2"))
    client.ack(R)
    assert said(client.poll(after=5.0)) == [("Cluster", [], ["a"])]


def test_E19_a_refused_cluster_that_is_gone_is_called_missing_though_a_route_leads_to_it() -> None:
    client = Delta()
    client.see(res(C, "a", "bad"), res(R, "r", needs=("a",)))
    client.sub(C, "*")
    client.nack(C, "a is bad")
    client.sub(R, "r")
    client.ack(R)
    client.see(res(R, "r", needs=("a",)))
    assert said(client.sub(C, "a")) == [("Cluster", [], ["a"])]


def test_E10_a_new_name_is_answered_in_state_of_the_world_though_it_is_leaving() -> None:
    client = Sotw()
    client.see(res(C, "a"), res(R, "r", needs=("a",)))
    client.ask(C, "*")
    client.ack(C, "*")
    client.ask(R, "r")
    client.ack(R, "r")
    client.see(res(R, "r", "2"))
    (answer,) = client.ask(C, "*", "a", nonce=client.nonces[C])
    assert [r.name for r in answer.resources] == ["a"]


def test_I4_a_cluster_whose_change_came_in_a_refused_response_stays_for_its_routes() -> None:
    client = Delta(cluster_grace=0.0)
    client.see(res(C, "a"), res(C, "b"), res(R, "r", needs=("a",)))
    client.sub(C)
    client.ack(C)
    client.sub(R, "r")
    client.ack(R)
    client.see(res(C, "a", "2"), res(C, "b", "bad"), res(R, "r", needs=("a",)))
    assert said(client.see(res(C, "b", "bad"), res(R, "r", "2"))) == [("RouteConfiguration", ["r"], [])]
    assert client.nack(C, "b is bad") == []
    assert said(client.ack(R)) == [("Cluster", [], ["a"])]


def test_I4_what_a_refused_response_may_have_left_in_use_keeps_its_clusters() -> None:
    client = Delta(cluster_grace=0.0)
    client.see(res(C, "a"), res(R, "r"), res(R, "s"))
    client.sub(C)
    client.ack(C)
    client.sub(R, "r", "s")
    client.ack(R)
    client.see(res(C, "a"), res(R, "r", "2", needs=("a",)), res(R, "s", "bad"))
    client.see(res(R, "r", "3"), res(R, "s", "bad"))
    # Envoy has the second version of `r` in use, until it says that it took the third.
    assert said(client.nack(R, "s is bad")) == [("RouteConfiguration", ["r"], [])]
    assert said(client.ack(R)) == [("Cluster", [], ["a"])]


def test_G14_a_filter_of_a_refused_response_is_not_taken_away_unasked() -> None:
    client = Delta()
    client.see(res(X, "a"), res(X, "b"))
    client.sub(X, "a", "b")
    client.ack(X)
    client.see(res(X, "a", "2"), res(X, "b", "bad"))
    client.see(res(X, "b", "bad"))
    assert client.nack(X, "b is bad") == []


def test_I4_a_refused_filter_that_is_gone_keeps_no_clusters() -> None:
    client = Delta(cluster_grace=0.0)
    client.see(res(C, "a"), res(X, "x", "bad", needs=("a",)))
    client.sub(C)
    client.ack(C)
    client.sub(X, "x")
    client.nack(X, "x is bad")
    assert said(client.see()) == [("Cluster", [], ["a"])]


def test_F6_who_has_nothing_is_told_so_though_what_was_to_come_first_went() -> None:
    client = Delta()
    client.see(res(C, "a"), res(L, "l", needs=("a",)))
    client.sub(C)
    assert client.sub(L) == []
    assert said(client.see(res(C, "a"))) == [("Listener", [], [])]


def test_D10_what_came_back_is_not_removed_with_the_next_response() -> None:
    client = Delta()
    client.see(res(C, "a", "bad"), res(R, "r"), res(R, "s"))
    client.sub(R, "r", "s")
    client.ack(R)
    client.see(res(C, "a", "bad"), res(R, "s", "bad"))
    client.sub(C)
    assert said(client.nack(R, "s is bad")) == []
    # `r` waits for its cluster; the removal that was refused is not to be repeated meanwhile.
    back = client.see(res(C, "a", "bad"), res(R, "r", "2", needs=("a",)), res(R, "s", "2"))
    assert said(back) == [("RouteConfiguration", ["s"], [])]


def test_D10_what_a_refused_response_took_away_is_sent_when_it_comes_back_as_it_was() -> None:
    client = Delta()
    client.see(res(L, "l"), res(L, "m"))
    client.sub(L)
    client.ack(L)
    assert said(client.see(res(L, "m", "bad"))) == [("Listener", ["m"], ["l"])]
    client.nack(L, "m is bad")
    assert said(client.see(res(L, "l"), res(L, "m", "bad"))) == [("Listener", ["l"], [])]


def test_I6_a_refused_cluster_does_not_hold_back_a_listener_that_is_to_come_back() -> None:
    client = Delta()
    client.see(res(C, "a", "bad"), res(L, "l"), res(L, "m"))
    client.sub(C)
    client.nack(C, "a is bad")
    client.sub(L)
    client.ack(L)
    client.see(res(C, "a", "bad"), res(L, "m", "bad"))
    client.nack(L, "m is bad")
    back = client.see(res(C, "a", "bad"), res(L, "l", needs=("a",)), res(L, "m"))
    assert said(back) == [("Listener", ["l", "m"], [])]


def test_E17_D10_an_estate_is_not_called_removed_to_who_stopped_asking() -> None:
    client = Delta()
    client.stream.inherit = lambda _type_url: ["l"]
    client.stream.on_request(Request(L, subscribe=("*",)), client.now)
    client.stream.on_request(Request(L, unsubscribe=("*",)), client.now)
    assert client.see(res(L, "m")) == []


def test_E4_who_stops_asking_for_everything_is_not_held_to_what_it_refused() -> None:
    client = Delta(cluster_grace=0.0)
    client.see(res(C, "a"), res(P, "p", "bad", needs=("a",)))
    client.sub(C)
    client.ack(C)
    client.sub(P)
    client.nack(P, "p is bad")
    client.unsub(P, "*")
    assert client.stream.in_step
    assert said(client.see(res(P, "p", "bad", needs=("a",)))) == [("Cluster", [], ["a"])]


def test_D3_suspects_that_wait_for_their_clusters_are_not_refused_together_for_ever() -> None:
    client = Sotw()
    client.see(res(C, "a"), res(R, "r"), res(R, "s"))
    client.ask(R, "r", "s")
    client.ack(R, "r", "s")
    bad = [res(R, "r", "bad", needs=("a",)), res(R, "s", "bad", needs=("a",))]
    client.see(res(C, "a"), *bad)
    # A client that never answers for its clusters.
    client.ask(C)
    assert client.nack(R, "r", "s") == []
    sent = []
    for _ in range(5):
        for response in client.poll(after=15.0):
            sent.append([r.name for r in response.resources])
            client.nack(R, "r", "s")
    assert sent == [["r"], ["s"]]


def test_D12_who_comes_back_with_the_very_set_is_inquired_of_by_halves() -> None:
    client = Sotw()
    good = [res(C, "a"), res(C, "b")]
    client.see(*good)
    assert client.stream.view is not None
    client.ask(C, version=client.stream.view.version(C))
    client.see(res(C, "a", "2"), res(C, "b", "bad"))
    (tried,) = client.nack(C, error="something is bad")
    assert [r.body for r in tried.resources] == [b"2", b"1"]


def test_D12_named_clusters_are_inquired_into_by_what_was_accepted_before() -> None:
    client = Sotw()
    client.see(res(C, "a"), res(C, "b"))
    client.ask(C, "a", "b")
    client.ack(C, "a", "b")
    client.see(res(C, "a", "2"), res(C, "b", "bad"))
    (tried,) = client.nack(C, "a", "b", error="something is bad")
    assert [r.body for r in tried.resources] == [b"2", b"1"]


def test_D12_who_could_not_be_parted_is_tried_when_everything_is_asked_for() -> None:
    client = Sotw()
    client.see(res(C, "a"), res(C, "b", "bad"))
    client.ask(C, "a", "b")
    assert client.nack(C, "a", "b", error="something is bad") == []
    tried = client.ask(C, "*", nonce=client.nonces[C])
    assert [r.name for r in tried[0].resources] == []
    tried = client.ack(C, "*")
    assert [r.name for r in tried[0].resources] == ["a", "b"]
    tried = client.nack(C, "*", error="something is bad")
    assert [r.name for r in tried[0].resources] == ["a"]


def test_D3_who_was_refused_alone_and_asked_for_is_not_suspected_with_others() -> None:
    client = Delta()
    client.see(res(C, "a", "bad"))
    client.sub(C)
    client.nack(C, error="something is bad")
    client.stream.on_view(view(res(C, "a", "bad"), res(C, "b"), generation=2))
    assert said(client.sub(C, "a")) == [("Cluster", ["a", "b"], [])]
    assert said(client.nack(C, error="something is bad")) == [("Cluster", ["b"], [])]
    assert client.ack(C) == []


def test_D6_a_late_complaint_is_not_of_what_was_given_back() -> None:
    client = Sotw()
    client.see(res(C, "a"), res(C, "b"))
    client.ask(C)
    client.ack(C)
    client.see(res(C, "a", "bad"), res(C, "b"))
    client.nack(C, error="a is bad")
    assert [r.body for r in client.see(res(C, "a", "bad"), res(C, "b", "2"))[0].resources] == [b"1", b"2"]
    client.ack(C, error="a is bad")
    assert client.see(res(C, "a", "bad"), res(C, "b", "2")) == []
    standing = client.stream.standing(C, "a")
    assert standing is not None
    assert standing.refused == res(C, "a", "bad").version


def test_E3_a_running_stream_that_asks_for_everything_is_answered_though_it_holds_it() -> None:
    client = Sotw()
    client.see(res(C, "a"), res(C, "b"))
    client.ask(C, "a", "b")
    client.ack(C, "a", "b")
    client.see(res(C, "a", "bad"), res(C, "b"))
    client.nack(C, "a", "b", error="a is bad")
    (answer,) = client.ask(C, "*", nonce=client.nonces[C])
    assert [r.body for r in answer.resources] == [b"1", b"1"]


def test_D2_a_set_without_what_was_refused_is_not_sent_twice() -> None:
    client = Sotw()
    client.see(res(P, "p"), res(P, "q", "bad"))
    client.ask(P)
    assert [r.name for r in client.nack(P, error="something is bad")[0].resources] == ["p"]
    client.see(res(P, "p"))
    assert client.ack(P) == []


def test_D12_a_scope_that_a_refused_set_left_out_stays_in_the_next_ones() -> None:
    client = Sotw()
    client.see(res(P, "p"), res(P, "q"))
    client.ask(P)
    client.ack(P)
    client.see(res(P, "p", "bad"))
    client.nack(P, error="p is bad")
    client.see(res(P, "p", "bad1"), res(P, "q", "2"))
    (tried,) = client.nack(P, error="something is bad")
    assert [r.body for r in tried.resources] == [b"bad1", b"1"]


def test_I6_who_asks_again_for_a_route_gets_it_though_one_of_its_clusters_is_refused() -> None:
    client = Delta()
    client.see(res(C, "a", "bad"), res(R, "r", needs=("a",)))
    client.sub(C)
    client.nack(C, "a is bad")
    client.sub(R, "r")
    client.ack(R)
    assert said(client.sub(R, "r")) == [("RouteConfiguration", ["r"], [])]


def test_I7_a_route_goes_when_its_refused_cluster_is_no_longer_asked_for() -> None:
    client = Delta()
    client.see(res(C, "a", "bad"), res(R, "r"))
    client.sub(C, "a")
    client.nack(C, "a is bad")
    client.sub(R, "r")
    client.ack(R)
    assert client.see(res(C, "a", "bad"), res(R, "r", "2", needs=("a",))) == []
    assert said(client.unsub(C, "a")) == [("RouteConfiguration", ["r"], [])]


def test_F6_the_first_answer_does_not_wait_for_what_is_no_longer_asked_for() -> None:
    client = Sotw()
    client.see(res(C, "a"), res(L, "l", needs=("a",)))
    client.ask(C)
    assert client.ask(L, "*", "none") == []
    assert said(client.ask(L, "none")) == [("Listener", [], [])]


def test_D12_who_could_not_be_parted_is_tried_when_the_other_is_no_longer_asked_for() -> None:
    client = Sotw()
    client.see(res(C, "a", "bad"), res(C, "b"))
    client.ask(C, "a", "b")
    assert client.nack(C, "a", "b", error="something is bad") == []
    (tried,) = client.ask(C, "b", nonce=client.nonces[C])
    assert [r.name for r in tried.resources] == ["b"]
    assert client.ack(C, "b") == []


def test_who_comes_back_with_a_refusal_may_hold_more_than_the_set_that_it_tells_of() -> None:
    client = Sotw()
    client.see(res(P, "p"))
    assert client.stream.view is not None
    version = client.stream.view.version(P)
    assert client.ask(P, version=version, error="something is bad") == []
    # It may have another `q` from before, which a set without that name would take from it.
    client.accepted[P] = version
    client.see(res(P, "p"), res(P, "q", "bad"), res(P, "r"))
    assert client.nack(P, error="something is bad") == []
