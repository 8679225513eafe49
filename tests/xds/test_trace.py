"""The invariants find what is wrong: each good trace has no fault, and each bad one the fault that it was made with."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from tests.xds.record import Item, Record, Variant
from tests.xds.trace import (
    names_come_once,
    nonces_are_unique,
    nothing_expires,
    one_is_in_flight,
    refused_content_stays_away,
    types_agree,
    versions_are_content,
)
from tests.xds.trace_order import (
    clusters_leave_last,
    endpoints_follow_clusters,
    everything_has_a_reason,
    faults,
    routes_follow_clusters,
)
from xds_server.protocol.types import CLUSTER, ENDPOINT, ROUTE

VARIANTS = pytest.mark.parametrize("variant", ["delta", "sotw"])


class Tape:
    """Writes a trace by hand. A response gets the next nonce, an answer the last one."""

    def __init__(self, variant: Variant, stream: int = 1) -> None:
        self.trace: list[Record] = []
        self.stream = stream
        self._variant = variant
        self._count = count(1)
        self._last: dict[tuple[int, str], Record] = {}
        self._names: dict[tuple[int, str], tuple[str, ...]] = {}

    def add(self, **fields: Any) -> None:
        at = float(len(self.trace))
        self.trace.append(Record(at=at, stream=self.stream, variant=self._variant, **fields))

    def ask(self, type_url: str, *names: str, **fields: Any) -> None:
        self._names[self.stream, type_url] = names
        self.add(kind="request", type_url=type_url, names=names, **fields)

    def say(self, type_url: str, *items: Item, removed: tuple[str, ...] = (), **fields: Any) -> None:
        """A response; its version is that of its content unless it is given."""
        typed = tuple(replace(item, type_url=item.type_url or type_url) for item in items)
        version = "".join(sorted(f"{item.name}={item.digest}," for item in items))
        told = {"nonce": f"n{next(self._count)}", "version": version, **fields}
        self.add(kind="response", type_url=type_url, items=typed, removed=removed, **told)
        self._last[self.stream, type_url] = self.trace[-1]

    def ack(self, type_url: str, error: str | None = None) -> None:
        last = self._last[self.stream, type_url]
        names = self._names.get((self.stream, type_url), ()) if self._variant == "sotw" else ()
        self.add(kind="request", type_url=type_url, nonce=last.nonce, names=names, error=error)

    def end(self, by: str = "server") -> None:
        self.add(kind="end", by=by)
        self.stream += 1


def item(name: str, digest: str = "1", **fields: Any) -> Item:
    return Item(**{"name": name, "digest": digest, "version": f"v{digest}", "inner_name": name, **fields})


def cluster(name: str, digest: str = "1") -> Item:
    return item(name, digest, warms=name)


def route(*clusters: str) -> Item:
    return item("r", f"->{clusters}", refers=frozenset(clusters))


def served(variant: Variant) -> Tape:
    """A client with a cluster, its endpoints and a route to it."""
    tape = Tape(variant)
    tape.ask(CLUSTER)
    tape.say(CLUSTER, cluster("c1"))
    tape.ask(ENDPOINT, "c1")
    tape.say(ENDPOINT, item("c1"))
    tape.ack(ENDPOINT)
    tape.ack(CLUSTER)
    tape.ask(ROUTE, "r")
    tape.say(ROUTE, route("c1"))
    tape.ack(ROUTE)
    return tape


def moved(variant: Variant) -> Tape:
    """That client, whose route goes over to another cluster, make before break."""
    delta = variant == "delta"
    tape = served(variant)
    tape.say(CLUSTER, *([] if delta else [cluster("c1")]), cluster("c2"))
    tape.ask(ENDPOINT, *([] if delta else ["c1"]), "c2")
    tape.say(ENDPOINT, item("c2"))
    tape.ack(ENDPOINT)
    tape.ack(CLUSTER)
    tape.say(ROUTE, route("c2"))
    tape.ack(ROUTE)
    if delta:
        tape.say(CLUSTER, removed=("c1",))
    else:
        tape.say(CLUSTER, cluster("c2"))
    tape.ack(CLUSTER)
    return tape


@VARIANTS
def test_a_good_trace_has_no_fault(variant: Variant) -> None:
    tape = moved(variant)
    assert faults(tape.trace) == []
    tape.end()
    tape.ask(CLUSTER, version="c2=1,", held={"c2": "v1"})
    tape.ask(ENDPOINT, "c2", held={"c2": "v1"})
    tape.ask(ROUTE, "r", held={"r": "v->('c2',)"})
    tape.say(CLUSTER, cluster("c2", "2"))
    tape.say(ENDPOINT, item("c2"))
    assert faults(tape.trace) == []


def test_a_nonce_is_missed_and_a_second_use_is_found() -> None:
    tape = Tape("delta")
    tape.say(CLUSTER, nonce="")
    tape.say(CLUSTER, nonce="1")
    tape.say(ENDPOINT, nonce="1")
    assert len(nonces_are_unique(tape.trace)) == 2
    tape = Tape("delta")
    tape.say(CLUSTER, nonce="1")
    tape.stream = 2
    tape.say(CLUSTER, nonce="1")
    assert nonces_are_unique(tape.trace) == []


def test_a_name_twice_is_found() -> None:
    for items, removed in [((item("a"), item("a", "2")), ()), ((item("a"),), ("a",)), ((), ("a", "a"))]:
        tape = Tape("delta")
        tape.say(CLUSTER, *items, removed=removed)
        (found,) = names_come_once(tape.trace)
        assert "twice: ['a']" in found


def test_a_name_that_is_not_the_bodys_is_found() -> None:
    tape = Tape("delta")
    tape.say(CLUSTER, item("a", inner_name="b"))
    tape.say(CLUSTER, item(""))
    assert len(names_come_once(tape.trace)) == 2


def test_a_resource_of_another_type_is_found() -> None:
    tape = Tape("sotw")
    tape.say(CLUSTER, item("a"), item("b", type_url=ENDPOINT))
    (found,) = types_agree(tape.trace)
    assert "b is of type" in found


def test_a_ttl_is_found() -> None:
    tape = Tape("sotw")
    tape.say(CLUSTER, item("a"), item("b", ttl=True))
    (found,) = nothing_expires(tape.trace)
    assert "b has a TTL" in found


@VARIANTS
def test_a_second_response_in_flight_is_found(variant: Variant) -> None:
    tape = served(variant)
    tape.say(ROUTE, route("c1", "c1"))
    assert one_is_in_flight(tape.trace) == []
    tape.say(ROUTE, route("c1", "c1", "c1"))
    tape.ack(ROUTE)
    assert len(one_is_in_flight(tape.trace)) == 1
    tape.end()
    tape.say(ROUTE, route("c1"))
    assert len(one_is_in_flight(tape.trace)) == 1


@VARIANTS
def test_other_content_under_a_known_version_is_found(variant: Variant) -> None:
    tape = Tape(variant)
    tape.say(CLUSTER, item("a", "1", version="v"), version="w")
    tape.end()
    tape.say(CLUSTER, item("a", "1", version="v"), version="w")
    assert versions_are_content(tape.trace) == []
    tape.say(CLUSTER, item("a", "2", version="v"), version="w")
    assert versions_are_content(tape.trace)


@VARIANTS
def test_a_new_version_of_known_content_is_found(variant: Variant) -> None:
    tape = Tape(variant)
    tape.say(CLUSTER, item("a", "1", version="v"), version="w")
    tape.say(CLUSTER, item("a", "1", version="V"), version="W")
    assert len(versions_are_content(tape.trace)) == 1


def test_a_resource_without_a_version_is_found() -> None:
    tape = Tape("delta")
    tape.say(CLUSTER, item("a", version=""))
    assert len(versions_are_content(tape.trace)) == 1


@VARIANTS
def test_a_refused_response_that_comes_again_is_found(variant: Variant) -> None:
    tape = served(variant)
    tape.say(ROUTE, route("bad"))
    tape.ack(ROUTE, error="no")
    tape.say(ROUTE, route("good"))
    tape.ack(ROUTE)
    assert refused_content_stays_away(tape.trace) == []
    tape.say(ROUTE, route("bad"))
    assert len(refused_content_stays_away(tape.trace)) == 1


@VARIANTS
def test_a_route_before_the_ack_of_its_cluster_is_found(variant: Variant) -> None:
    tape = served(variant)
    assert routes_follow_clusters(tape.trace) == []
    tape.say(CLUSTER, cluster("c1"), cluster("c2"))
    tape.say(ROUTE, route("c1", "c2"))
    (found,) = routes_follow_clusters(tape.trace)
    assert "[('r', 'c2')]" in found


@VARIANTS
def test_a_route_to_a_cluster_that_the_client_came_back_with_is_no_fault(variant: Variant) -> None:
    tape = Tape(variant)
    tape.ask(CLUSTER)
    tape.say(CLUSTER, cluster("c1"))
    tape.end()
    tape.ask(CLUSTER, held={"c1": "v1"} if variant == "delta" else {}, version="c1=1,")
    tape.ask(ROUTE, "r")
    tape.say(ROUTE, route("c1"))
    assert routes_follow_clusters(tape.trace) == []
    tape.say(ROUTE, route("c2"))
    assert len(routes_follow_clusters(tape.trace)) == 1


@VARIANTS
def test_a_route_before_clusters_are_asked_for_is_no_fault_on_one_stream_for_all(variant: Variant) -> None:
    for service, found in (("AggregatedDiscoveryService", 0), ("RouteDiscoveryService", 1)):
        tape = served(variant)
        tape.end()
        tape.add(kind="open", by=f"envoy.service.{service}/Stream")
        tape.ask(ROUTE, "r", held={"r": "old"})
        tape.say(ROUTE, route("c2"))
        assert len(routes_follow_clusters(tape.trace)) == found


@VARIANTS
def test_a_cluster_that_goes_before_its_route_is_found(variant: Variant) -> None:
    removed = ("c1",) if variant == "delta" else ()
    tape = served(variant)
    tape.say(CLUSTER, removed=removed)
    (found,) = clusters_leave_last(tape.trace)
    assert "['c1']" in found


@VARIANTS
def test_a_cluster_that_goes_before_the_ack_of_its_routes_replacement_is_found(variant: Variant) -> None:
    keep = [] if variant == "delta" else [cluster("c2")]
    removed = ("c1",) if variant == "delta" else ()
    for answered in (True, False):
        tape = served(variant)
        tape.say(CLUSTER, cluster("c1"), cluster("c2"))
        tape.ack(CLUSTER)
        tape.say(ROUTE, route("c2"))
        if answered:
            tape.ack(ROUTE)
        tape.say(CLUSTER, *keep, removed=removed)
        assert len(clusters_leave_last(tape.trace)) == (0 if answered else 1)


@VARIANTS
def test_endpoints_that_do_not_follow_a_changed_cluster_are_found(variant: Variant) -> None:
    tape = served(variant)
    tape.say(CLUSTER, cluster("c1", "2"))
    (found,) = endpoints_follow_clusters(tape.trace)
    assert "the endpoints of c1 never came" in found
    tape.say(ENDPOINT, item("c1"))
    assert endpoints_follow_clusters(tape.trace) == []
    tape.ack(CLUSTER)
    tape.say(CLUSTER, cluster("c1", "2"), cluster("c2"))
    assert endpoints_follow_clusters(tape.trace) == []  # nobody asks for those of c2


@VARIANTS
def test_an_answer_to_an_ack_is_found(variant: Variant) -> None:
    tape = served(variant)
    assert everything_has_a_reason(tape.trace) == []
    tape.say(ROUTE, route("c1"))
    (found,) = everything_has_a_reason(tape.trace)
    assert "sent for no reason: ['r']" in found
    tape = served(variant)
    tape.say(CLUSTER, cluster("c1"))
    assert len(everything_has_a_reason(tape.trace)) == 1


@VARIANTS
def test_what_is_asked_for_again_or_warms_has_a_reason(variant: Variant) -> None:
    tape = served(variant)
    tape.ask(ENDPOINT, "c1")
    tape.say(ENDPOINT, item("c1"))
    tape.ack(ENDPOINT)
    tape.say(CLUSTER, cluster("c1", "2"))
    tape.say(ENDPOINT, item("c1"))
    assert everything_has_a_reason(tape.trace) == []


def test_endpoints_that_overtake_their_cluster_on_another_stream_have_a_reason() -> None:
    tape = served("sotw")
    tape.say(ENDPOINT, item("c1"))
    assert len(everything_has_a_reason(tape.trace)) == 1
    tape.stream = 2
    tape.ask(CLUSTER)
    tape.say(CLUSTER, cluster("c1", "2"))
    assert everything_has_a_reason(tape.trace) == []


def test_a_removal_of_what_nobody_knows_is_found() -> None:
    tape = served("delta")
    tape.say(ROUTE, removed=("other",))
    assert len(everything_has_a_reason(tape.trace)) == 1
    tape = served("delta")
    tape.ask(ROUTE, "other")
    tape.say(ROUTE, removed=("other",))
    assert everything_has_a_reason(tape.trace) == []


def test_what_a_client_came_back_with_has_no_reason() -> None:
    tape = Tape("delta")
    tape.ask(ROUTE, "r", held={"r": "v1"})
    tape.say(ROUTE, item("r", "2"))
    assert everything_has_a_reason(tape.trace) == []
    tape = Tape("delta")
    tape.ask(CLUSTER, held={"c1": "v1", "c2": "v1"})
    tape.say(CLUSTER, cluster("c1"), cluster("c2", "2"))
    (found,) = everything_has_a_reason(tape.trace)
    assert "['c1']" in found


def test_an_empty_response_is_an_answer_only_at_first() -> None:
    tape = Tape("delta")
    tape.ask(CLUSTER)
    tape.say(CLUSTER)
    tape.ack(CLUSTER)
    assert everything_has_a_reason(tape.trace) == []
    tape.say(CLUSTER)
    assert len(everything_has_a_reason(tape.trace)) == 1


def test_a_response_of_a_type_that_nobody_asked_for_is_found() -> None:
    tape = Tape("delta")
    tape.say(CLUSTER, cluster("c1"))
    assert "nobody asked" in everything_has_a_reason(tape.trace)[0]


def test_all_invariants_are_asked() -> None:
    tape = served("sotw")
    tape.say(ROUTE, route("c1"), nonce="")
    assert {each.partition(":")[0] for each in faults(tape.trace)} == {
        "nonces_are_unique",
        "everything_has_a_reason",
    }
