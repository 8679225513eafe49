"""What the tests wait for is what they mean: a fleet that has not asked for everything is not settled."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.held import has_all
from tests.e2e.settled import is_calm, is_settled
from tests.e2e.stack import Stack

_TYPES = ("Cluster", "Listener", "ScopedRouteConfiguration", "RouteConfiguration", "ClusterLoadAssignment")
_ALL = {*_TYPES, "Secret", "TypedExtensionConfig"}


def _told(*kinds: str, generation: int = 2, **other: Any) -> dict[str, Any]:
    still = {"leaving": 0, "in_flight": False}
    stream = {"generation": generation, "types": {kind: {**still} for kind in kinds}}
    node = {"id": "paris", "connected": True, "synced": True, "streams": [stream], **other}
    return {"generation": 2, "nodes": [node]}


def test_who_acknowledged_all_that_he_asked_for_is_settled() -> None:
    assert is_settled(_told(*_TYPES), ["paris"])


@pytest.mark.parametrize(
    "told",
    [
        _told(),
        _told("Cluster"),
        _told(*_TYPES, generation=1),
        _told(*_TYPES, synced=False),
        _told(*_TYPES, connected=False),
        _told(*_TYPES, streams=[]),
        {"generation": 2, "nodes": []},
        {"generation": None, "nodes": []},
    ],
)
def test_who_did_not_is_not(told: dict[str, Any]) -> None:
    assert not is_settled(told, ["paris"])


@pytest.mark.parametrize("busy", [{"leaving": 1}, {"in_flight": True}])
def test_what_is_being_taken_away_is_no_calm(busy: dict[str, Any]) -> None:
    told = _told(*_TYPES)
    assert is_calm(told)
    told["nodes"][0]["streams"][0]["types"]["Cluster"] |= busy
    assert not is_calm(told)


@pytest.mark.envoy
@pytest.mark.parametrize("kind", sorted(_ALL))
def test_an_envoy_tells_of_each_type_that_it_has(stack: Stack, kind: str) -> None:
    """Where a control plane was not asked for it, the Envoy has yet to do so."""
    envoy = stack.envoys["paris"]
    assert has_all(envoy, _ALL)
    assert not has_all(envoy, _ALL - {kind})
