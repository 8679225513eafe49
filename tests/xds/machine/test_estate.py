"""What a client keeps of a refused response, and does not tell of when it comes back (row D10)."""

from __future__ import annotations

from functools import partial

from tests.xds.machine.conversation import C, Delta, E, L, R, Sotw, res, said
from xds_server.protocol import Estates, Request


def begin(estates: Estates, **options: float) -> Delta:
    client = Delta(**options)
    client.stream.inherit = partial(estates.claim, "node")
    estates.enter("node", client.stream)
    return client


def come_back(client: Delta, estates: Estates, **options: float) -> Delta:
    """End a client's stream and open the next of the same node, which has seen the same view."""
    estates.end("node", client.stream)
    after = begin(estates, **options)
    if client.stream.view is not None:
        after.stream.on_view(client.stream.view)
    return after


def listening() -> Delta:
    client = Delta()
    client.see(res(L, "l"))
    client.sub(L)
    client.ack(L)
    return client


def test_D10_the_good_half_of_a_refused_response_is_taken_back_on_the_next_stream() -> None:
    client, estates = listening(), Estates()
    client.see(res(L, "l"), res(L, "bad"), res(L, "good"))
    client.nack(L, "bad is bad")
    client.stream.on_view(listening().stream.view)  # type: ignore[arg-type]
    after = come_back(client, estates)
    held = {"l": res(L, "l").version}
    assert said(after.sub(L, initial_versions=held)) == [("Listener", [], ["bad", "good"])]
    assert after.ack(L) == []
    assert after.stream.channels[L].quiet
    estates.end("node", after.stream)
    assert len(estates) == 0


def test_D10_the_good_half_counts_before_it_was_sent_again() -> None:
    client, estates = listening(), Estates()
    client.see(res(L, "l"), res(L, "bad"), res(L, "good"))
    client.stream.on_request(Request(L, nonce=client.nonces[L], error="bad is bad"), 0.0)
    client.stream.on_view(listening().stream.view)  # type: ignore[arg-type]
    after = come_back(client, estates)
    held = {"l": res(L, "l").version}
    assert said(after.sub(L, initial_versions=held)) == [("Listener", [], ["bad", "good"])]


def test_D10_what_was_not_answered_when_the_stream_ended_counts_too() -> None:
    client, estates = listening(), Estates()
    client.see(res(L, "l"), res(L, "new"))
    client.stream.on_view(listening().stream.view)  # type: ignore[arg-type]
    after = come_back(client, estates)
    held = {"l": res(L, "l").version}
    assert said(after.sub(L, initial_versions=held)) == [("Listener", [], ["new"])]


def test_D10_a_removal_that_was_not_answered_is_sent_again_on_the_next_stream() -> None:
    client, estates = listening(), Estates()
    client.see(res(L, "l"), res(L, "bad"), res(L, "good"))
    client.nack(L, "bad and good are not to its liking")
    assert said(client.see(res(L, "l"))) == [("Listener", [], ["bad", "good"])]
    after = come_back(client, estates)
    held = {"l": res(L, "l").version}
    assert said(after.sub(L, initial_versions=held)) == [("Listener", [], ["bad", "good"])]


def test_D10_what_is_wanted_is_sent_and_not_removed() -> None:
    client, estates = listening(), Estates()
    client.see(res(L, "l"), res(L, "new"))
    after = come_back(client, estates)
    held = {"l": res(L, "l").version}
    assert said(after.sub(L, initial_versions=held)) == [("Listener", ["new"], [])]
    after.ack(L)
    assert after.stream.channels[L].quiet


def test_D10_what_the_client_tells_of_itself_needs_no_estate() -> None:
    client, estates = listening(), Estates()
    client.see(res(L, "l", "2"))
    client.nack(L, "l is bad")
    estates.end("node", client.stream)
    assert len(estates) == 0


def test_D10_an_estate_is_handed_on_until_the_client_has_answered() -> None:
    client, estates = listening(), Estates()
    client.see(res(L, "l"), res(L, "new"))
    client.stream.on_view(listening().stream.view)  # type: ignore[arg-type]
    held = {"l": res(L, "l").version}
    second = come_back(client, estates)
    second.stream.view = None
    assert second.sub(L, initial_versions=held) == []
    third = come_back(second, estates)
    third.see(res(L, "l"))
    assert said(third.sub(L, initial_versions=held)) == [("Listener", [], ["new"])]
    fourth = come_back(third, estates)
    assert said(fourth.sub(L, initial_versions=held)) == [("Listener", [], ["new"])]
    fourth.ack(L)
    fifth = come_back(fourth, estates)
    assert fifth.sub(L, initial_versions=held) == []


def test_D10_I4_an_orphaned_cluster_goes_after_the_routes_that_may_use_it() -> None:
    client, estates = Delta(cluster_ack=1.0), Estates()
    old, new = res(R, "r", needs=("c1",)), res(R, "r", "2", needs=("c2",))
    client.see(res(C, "c1"), old)
    client.sub(C)
    client.ack(C)
    client.sub(R, "r")
    client.ack(R)
    client.see(res(C, "c1"), res(C, "c2"), new)
    assert said(client.poll(after=2)) == [("RouteConfiguration", ["r"], [])]
    client.ack(R)
    client.see(res(C, "c1"), old)
    after = come_back(client, estates, cluster_grace=5.0)
    assert after.sub(C, initial_versions={"c1": res(C, "c1").version}) == []
    assert said(after.sub(R, "r", initial_versions={"r": new.version})) == [("RouteConfiguration", ["r"], [])]
    assert after.poll(after=100) == []
    after.ack(R)
    assert said(after.poll(after=6)) == [("Cluster", [], ["c2"])]


def test_D10_names_that_are_asked_for_are_left_to_nobody() -> None:
    client = Delta()
    client.see(res(E, "a"))
    client.sub(E, "a")
    client.nack(E, "a is bad")
    assert not any(client.stream.estate().values())


def test_D10_full_sets_heal_themselves() -> None:
    client = Sotw()
    client.see(res(L, "l"))
    client.ask(L)
    client.nack(L, error="l is bad")
    assert not any(client.stream.estate().values())


def test_D10_who_is_back_before_its_last_stream_was_found_dead_is_told_too() -> None:
    estates = Estates()
    dead = begin(estates)
    dead.see(res(L, "l"))
    dead.sub(L)
    dead.ack(L)
    dead.see(res(L, "l"), res(L, "bad"), res(L, "good"))
    dead.nack(L, "bad is bad")
    after = begin(estates)
    after.see(res(L, "l"))
    held = {"l": res(L, "l").version}
    assert said(after.sub(L, initial_versions=held)) == [("Listener", [], ["bad", "good"])]


def test_H11_estates_are_bounded_in_nodes_and_names() -> None:
    estates = Estates(nodes=2, names=3)
    estates.leave("a", {L: [str(number) for number in range(10)]})
    estates.leave("b", {L: ["b"], C: []})
    estates.leave("c", {C: [], L: ()})
    assert len(estates) == 2
    assert len(estates.claim("a", L)) == 3
    assert estates.claim("a", L) == frozenset()
    assert estates.claim("b", C) == frozenset()
    estates.leave("d", {L: ["d"]})
    estates.leave("e", {L: ["e"]})
    assert estates.claim("b", L) == frozenset()
    assert estates.claim("d", L) == {"d"}


def test_D10_estates_of_one_node_add_up_the_newest_first() -> None:
    estates = Estates(names=3)
    estates.leave("a", {L: ["1", "2"]})
    estates.leave("a", {L: ["3", "4"], C: ["c"]})
    assert estates.claim("a", L) == {"3", "4", "1"}
    assert estates.claim("a", C) == {"c"}
    assert len(estates) == 0


def test_H11_streams_that_left_nothing_are_forgotten() -> None:
    estates = Estates()
    for _ in range(100):
        client = begin(estates)
        client.see(res(L, "l"))
        client.sub(L)
        client.ack(L)
        estates.end("node", client.stream)
    assert len(estates) == 0
