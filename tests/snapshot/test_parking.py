"""Views in which resources are parked."""

from __future__ import annotations

from xds_server.snapshot import Layer, Resource, View, diff, layer, parked, reserve

C = "type.googleapis.com/envoy.config.cluster.v3.Cluster"


def cluster(name: str, body: str = "1") -> Resource:
    return Resource.of(C, name, body.encode())


A, B = cluster("a"), cluster("b")


def view(*resources: Resource, without: tuple[Resource, ...] = (), others: Layer | None = None) -> View:
    kept_back = {parked(C): {each.name: each for each in without}} if without else {}
    return View(1, ({**layer([*resources, *without]), **kept_back, **(others or {})}, {}))


def test_what_is_parked_is_hidden_wherever_it_stands() -> None:
    seen = view(A, without=(B,), others={reserve(C): {"b": B}})
    assert seen.get(C, "b") is None
    assert not seen.has(C, "b")
    assert seen.parks(C, "b")
    assert not seen.parks(C, "a")
    assert list(seen.names(C)) == ["a"]
    assert list(seen.resources(C)) == [A]
    assert seen.count(C) == 1
    assert seen.types() == {C}
    assert seen.version(C) == view(A).version(C)
    # Who asks for the parked ones, as the command line does, finds them.
    assert list(seen.resources(parked(C))) == [B]


def test_where_nothing_is_parked_nothing_is_looked_at() -> None:
    assert not view(A, B).has_parked
    assert not view(A, B).parks(C, "b")


def test_to_be_parked_and_not_to_be_any_more_is_a_difference() -> None:
    awake, asleep = view(A, B), view(A, without=(B,))
    assert diff(awake, asleep).changed == {parked(C): {"b"}}
    assert diff(asleep, awake).removed == {parked(C): {"b"}}
    assert not diff(asleep, view(A, without=(B,)))
