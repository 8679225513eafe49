"""How a split between revisions is kept: at each Envoy, and over all of them; also when a place is down."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.chaos.chance import is_likely
from tests.chaos.fleet import GATEWAYS, PARIS, TOKYO, VIRGINIA, Fleet
from tests.e2e.manifest import Manifest

pytestmark = pytest.mark.envoy

_WEIGHTS = {"large": 70, "middle": 20, "small": 10, "idle": 0}
_REQUESTS = 1000


def _deployment(fleet: Fleet) -> Manifest:
    """Each revision has a backend next to each Envoy."""
    revisions = [
        fleet.revision(name, PARIS, VIRGINIA, TOKYO, weight=weight) for name, weight in _WEIGHTS.items()
    ]
    return fleet.deployment(*revisions)


def _ask(fleet: Fleet, gateway: str) -> Counter[str]:
    """How often each revision served so many requests, as the models tell it."""
    before = fleet.mark()
    with fleet.connect(gateway) as wire:
        for _ in range(_REQUESTS):
            assert wire.ask("/acme/models/split", headers=fleet.headers).status == 200
    heard = [each for requests in fleet.heard("split", before).values() for each in requests]
    assert len(heard) == _REQUESTS, "none was run twice"
    return Counter(each.revision for each in heard)


def _check(met: Counter[str]) -> None:
    total = met.total()
    assert met["idle"] == 0
    for name, weight in _WEIGHTS.items():
        assert is_likely(met[name], total, total * weight / 100), met


def test_the_weights_hold_at_each_envoy_and_in_sum(fleet: Fleet) -> None:
    fleet.put("split", _deployment(fleet))
    met = {gateway: _ask(fleet, gateway) for gateway in GATEWAYS}
    for each in met.values():
        _check(each)
    _check(sum(met.values(), Counter()))


def test_a_place_that_is_down_takes_nothing_from_a_revision(fleet: Fleet) -> None:
    """Its requests go to another place of the same revision, from the first one on."""
    fleet.put("split", _deployment(fleet))
    fleet.models[VIRGINIA].kill()
    before = fleet.mark()
    met = {gateway: _ask(fleet, gateway) for gateway in GATEWAYS}
    for each in met.values():
        _check(each)
    _check(sum(met.values(), Counter()))
    assert fleet.heard("split", before).keys() == {PARIS, TOKYO}
