"""Leases: begun, renewed, over; and what outlives a process."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from xds_server.registration import MOST_WEIGHT, FullError, Lease, Registry, Slot
from xds_server.registration.registry import MOST

SLOT = Slot("acme/models/llama", "production", "v1")
LEASE = Lease("eu-west-3", "10.0.0.1:80", None, 1, 30.0)


def lease(**more: Any) -> Lease:
    return Lease(
        **{
            "location": "eu-west-3",
            "authority": "10.0.0.1:80",
            "flavor": None,
            "weight": 1,
            "ttl": 30.0,
            **more,
        }
    )


def test_a_heartbeat_makes_no_difference_and_another_weight_does() -> None:
    registry = Registry()
    assert registry.put(SLOT, lease(), 0.0)
    assert not registry.put(SLOT, lease(), 10.0)
    assert registry.put(SLOT, lease(weight=2), 20.0)
    assert registry.list() == {SLOT: (lease(weight=2),)}


def test_a_lease_is_over_when_it_was_not_renewed_in_time() -> None:
    registry = Registry()
    registry.put(SLOT, lease(), 0.0)
    registry.put(SLOT, lease(authority="10.0.0.2:80", ttl=10.0), 0.0)
    assert registry.expire(9.9) == []
    assert [each.authority for _, each in registry.expire(10.0)] == ["10.0.0.2:80"]
    registry.put(SLOT, lease(), 25.0)
    assert registry.expire(54.9) == []
    assert registry.expire(55.0) == [(SLOT, lease())]
    assert registry.list() == {}


def test_one_address_in_two_places_is_two_backends() -> None:
    registry = Registry()
    registry.put(SLOT, lease(), 0.0)
    registry.put(SLOT, lease(location="us-east-1"), 0.0)
    assert len(registry.list()[SLOT]) == 2
    assert registry.remove(SLOT, "us-east-1", "10.0.0.1:80")
    assert not registry.remove(SLOT, "us-east-1", "10.0.0.1:80")
    assert registry.list() == {SLOT: (lease(),)}


def test_there_is_an_end_to_it() -> None:
    registry = Registry()
    for number in range(MOST):
        registry.put(SLOT, lease(authority=f"10.0.0.1:{number + 1}"), 0.0)
    with pytest.raises(FullError):
        registry.put(SLOT, lease(authority="10.0.0.2:1"), 0.0)
    # Who is there may stay.
    assert not registry.put(SLOT, lease(authority="10.0.0.1:1"), 1.0)


def test_what_is_taken_over_has_its_whole_time_again() -> None:
    registry, later = Registry(), Registry()
    registry.put(SLOT, lease(flavor="gpu"), 0.0)
    assert later.read(json.loads(json.dumps(registry.write())), 5000.0, str) == ()
    assert later.list() == registry.list()
    assert later.expire(5029.9) == []
    assert later.remaining(SLOT, lease(flavor="gpu"), 5000.0) == 30.0


def refuse_seven(authority: str) -> str:
    if "7" in authority:
        raise ValueError("must not hold a 7")
    return authority.lower()


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ({"location": "x"}, "KeyError: 'authority'"),
        ({"authority": "10.0.0.7:80"}, "ValueError: must not hold a 7"),
        ({"authority": 8}, "TypeError: location, authority and flavor are text"),
        ({"location": None}, "TypeError: location, authority and flavor are text"),
        ({"flavor": 8}, "TypeError: location, authority and flavor are text"),
        ({"weight": -1}, "ValueError: a weight of -1"),
        ({"weight": MOST_WEIGHT + 1}, "ValueError: a weight of 1000001"),
        ({"weight": "many"}, "ValueError: invalid literal"),
        ({"ttl": 0}, "ValueError: a weight of 1 for 0.0 s"),
        ({"ttl": float("inf")}, "ValueError: a weight of 1 for inf s"),
        ({"weight": float("inf")}, "OverflowError"),
        ("text", "TypeError"),
        (None, "TypeError"),
    ],
)
def test_what_is_no_lease_takes_nothing_else_along(bad: Any, words: str) -> None:
    whole, later = asdict(lease()), Registry()
    if isinstance(bad, dict) and len(bad) == 1 and words != "KeyError: 'authority'":
        bad = {**whole, **bad}
    data = {"broken": 8, str(SLOT): [bad, whole, {**whole, "authority": "B:80"}]}
    faults = later.read(data, 0.0, refuse_seven)
    assert [name for name, _ in faults] == ["broken", str(SLOT)]
    assert words in faults[1][1]
    assert later.list() == {SLOT: (lease(), lease(authority="b:80"))}


def test_more_than_there_may_be_are_left_out() -> None:
    registry, whole = Registry(), asdict(lease())
    many = [{**whole, "authority": f"10.0.0.1:{number + 1}"} for number in range(MOST + 2)]
    assert len(registry.read({str(SLOT): many}, 0.0, str)) == 2
    assert len(registry.list()[SLOT]) == MOST


def test_what_nobody_declares_is_forgotten() -> None:
    registry, other = Registry(), SLOT._replace(revision="v2")
    registry.put(SLOT, lease(), 0.0)
    registry.put(other, lease(), 0.0)
    assert registry.keep(frozenset({SLOT})) == [other]
    assert registry.list() == {SLOT: (lease(),)}
