"""Requests that meet other requests, pushes, and responses on their way."""

from __future__ import annotations

import pytest

from tests.xds.machine.conversation import C, Delta, E, L, R, Sotw, res, said, view
from xds_server.protocol import Node, Refused, Request

Client = Delta | Sotw
VARIANTS = pytest.mark.parametrize("make", [Delta, Sotw], ids=["delta", "sotw"])
RUNTIME = "type.googleapis.com/envoy.service.runtime.v3.Runtime"
UNKNOWN = "type.googleapis.com/envoy.config.never.v3.Heard"


def ask(client: Client, type_url: str, *names: str) -> Request:
    return Request(type_url, subscribe=names) if isinstance(client, Delta) else Request(type_url, names=names)


@VARIANTS
def test_C9_several_requests_before_a_response_are_answered_once_as_the_last_one_asks(
    make: type[Client],
) -> None:
    client = make()
    client.see(res(E, "a"), res(E, "b"), res(E, "c"))
    for names in (("a",), ("a", "b"), ("a", "b", "c")):
        client.stream.on_request(ask(client, E, *names), client.now)
    assert said(client.poll()) == [("ClusterLoadAssignment", ["a", "b", "c"], [])]
    assert client.poll(after=100) == []


@VARIANTS
def test_C9_E17_names_that_the_last_request_no_longer_has_are_not_sent(make: type[Client]) -> None:
    client = make()
    client.see(res(E, "a"), res(E, "b"))
    client.stream.on_request(ask(client, E, "a", "b"), client.now)
    less = Request(E, unsubscribe=("a",)) if isinstance(client, Delta) else Request(E, names=("b",))
    client.stream.on_request(less, client.now)
    assert said(client.poll()) == [("ClusterLoadAssignment", ["b"], [])]


@VARIANTS
def test_N5_a_request_is_in_the_response_that_a_push_makes_due(make: type[Client]) -> None:
    client = make()
    client.see(res(E, "a"), res(E, "b"))
    client.stream.on_request(ask(client, E, "a"), client.now)
    client.poll()
    client.ack(E) if isinstance(client, Delta) else client.ack(E, "a")
    client.stream.on_view(view(res(E, "a", "2"), res(E, "b"), generation=2))
    more = ask(client, E, "a", "b") if isinstance(client, Sotw) else ask(client, E, "b")
    client.stream.on_request(more, client.now)
    assert said(client.poll()) == [("ClusterLoadAssignment", ["a", "b"], [])]


@VARIANTS
def test_N5_a_request_that_comes_while_responses_are_written_is_served_before_later_pushes(
    make: type[Client],
) -> None:
    client = make()
    client.stream.on_view(view(res(C, "c"), res(E, "c"), res(E, "d"), res(L, "l")))
    for type_url in (C, L):
        client.stream.on_request(ask(client, type_url), client.now)
    first = client.stream.next(client.now)
    assert first is not None
    assert first.type_url == C
    client.stream.on_request(ask(client, E, "d"), client.now)
    rest = client.poll()
    assert [r.type_url for r in rest] == [E, L]


def test_E21_a_name_both_added_and_dropped_in_one_request_is_answered() -> None:
    client = Delta()
    client.see(res(E, "a"))
    client.sub(E, "a")
    client.ack(E)
    again = client.request(E, subscribe=("a",), unsubscribe=("a",))
    assert said(again) == [("ClusterLoadAssignment", ["a"], [])]
    client.ack(E)
    assert said(client.see(res(E, "a", "2"))) == [("ClusterLoadAssignment", ["a"], [])]


@VARIANTS
@pytest.mark.parametrize("unknown", [RUNTIME, UNKNOWN])
def test_A4_D7_a_type_that_nobody_serves_leaves_the_others_working(make: type[Client], unknown: str) -> None:
    client = make()
    client.see(res(C, "a"))
    client.request(unknown, **({"subscribe": ("x",)} if make is Delta else {"names": ("x",)}))
    client.request(unknown, **({"unsubscribe": ("x",)} if make is Delta else {}))
    assert said(client.request(C)) == [("Cluster", ["a"], [])]
    client.ack(C)
    assert said(client.see(res(C, "a", "2"))) == [("Cluster", ["a"], [])]


def test_D6_a_late_error_on_withheld_clusters_does_not_roll_them_back_and_lets_routes_go() -> None:
    """Envoy answers clusters when they are warm; what went wrong before may ride on that answer."""
    client = Sotw()
    old, new = res(R, "r", needs=("c1",)), res(R, "r", "2", needs=("c2",))
    client.see(res(C, "c1"), old)
    client.ask(C)
    client.ack(C)
    client.ask(R, "r")
    client.ack(R, "r")
    client.see(res(C, "c1"), res(C, "c2"), new)
    # Further changes wait behind the withheld answer, and are not skipped.
    assert client.see(res(C, "c1", "2"), res(C, "c2"), new) == []
    late = client.ask(C, nonce=client.nonces[C], version=client.versions[C], error="duplicate cluster c9")
    assert isinstance(client.events[-1], Refused)
    assert [(r.type_url, [x.body for x in r.resources]) for r in late] == [
        (C, [b"2", b"1"]),
        (R, [b"2"]),
    ]
    channel = client.stream.channels[C]
    assert channel.refusals == {}
    assert channel.last_refused is not None
    assert channel.last_refused.text == "duplicate cluster c9"
    client.ack(C)
    client.ack(R, "r")
    assert channel.quiet


@VARIANTS
def test_B9_K1_K2_features_change_nothing_of_what_is_sent(make: type[Client]) -> None:
    said_by = []
    for features in (frozenset[str](), frozenset({"xds.config.supports-resource-ttl", "envoy.lrs"})):
        client = make()
        client.see(res(C, "a"), res(L, "l"))
        node = Node("n", features=features)
        said_by.append([*client.request(C, node=node), *client.request(L, node=node)])
        assert client.poll(after=10_000) == []
    plain, featured = said_by
    assert plain == featured


@VARIANTS
def test_I6_a_refused_cluster_of_one_node_holds_back_nothing_for_another(make: type[Client]) -> None:
    nodes = [make(), make()]
    for client in nodes:
        client.see(res(C, "c1"), res(R, "r", needs=("c1",)))
        client.request(C)
        client.ack(C)
        client.stream.on_request(ask(client, R, "r"), client.now)
        client.poll()
        client.ack(R) if isinstance(client, Delta) else client.ack(R, "r")
        client.see(res(C, "c1"), res(C, "c2"), res(R, "r", "2", needs=("c2",)))
    one, other = nodes
    assert one.nack(C, error="Error adding/updating cluster(s) c2: no") == []
    assert [r.type_url for r in other.ack(C)] == [R]
    assert one.poll(after=1000) == []
