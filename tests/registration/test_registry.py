"""Leases: begun, renewed, over; and what outlives a process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from xds_server.registration import FormError, FullError, Lease, Registry, Slot
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
    later.read(json.loads(json.dumps(registry.write())), 5000.0)
    assert later.list() == registry.list()
    assert later.expire(5029.9) == []
    assert later.remaining(SLOT, lease(flavor="gpu"), 5000.0) == 30.0


def test_what_cannot_be_read_takes_nothing_else_along() -> None:
    registry, later = Registry(), Registry()
    registry.put(SLOT, lease(), 0.0)
    with pytest.raises(FormError, match="a/b/c/d/e: KeyError"):
        later.read({"a/b/c/d/e": [{"location": "x"}], **registry.write()}, 0.0)
    assert later.list() == registry.list()


def test_what_nobody_declares_is_forgotten() -> None:
    registry, other = Registry(), SLOT._replace(revision="v2")
    registry.put(SLOT, lease(), 0.0)
    registry.put(other, lease(), 0.0)
    assert registry.keep(frozenset({SLOT})) == [other]
    assert registry.list() == {SLOT: (lease(),)}
