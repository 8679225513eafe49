"""What the random conversations found, as short ones."""

from __future__ import annotations

from tests.xds.machine.conversation import C, Delta, E, L, R, Sotw, res, said


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
    assert client.sub(C, "a") == []
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
