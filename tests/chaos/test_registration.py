"""Backends that register themselves and die without a word, at three Envoys."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tests.chaos.fleet import FRANKFURT, GATEWAYS, PARIS, TOKYO, Fleet
from tests.chaos.traffic import Traffic
from tests.e2e.held import hold_places
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_SLOT = "acme/models/registered/production/v1"
_TTL = 5.0
_LATE = 5.0
"""Seconds that a busy machine may be late with taking a lease away."""


def _places(fleet: Fleet, gateway: str) -> set[str]:
    """Where the Envoy has backends of the model."""
    return {each["locality"]["zone"] for each in hold_places(fleet.envoys[gateway], _SLOT)}


def _everywhere(fleet: Fleet, *places: str) -> bool:
    return all(_places(fleet, gateway) == {*places} for gateway in GATEWAYS)


def test_who_dies_without_a_goodbye_is_out_within_his_time_and_nothing_is_lost(
    fleet: Fleet, record_property: Callable[[str, object], None]
) -> None:
    """The nearest of one Envoy dies with its sidecar; it comes back, and registers again."""
    fleet.put(
        "registered",
        fleet.deployment({"name": "v1", "registration": {"ttl": f"{_TTL:.0f}s"}}),
    )
    addresses = {place: fleet.models[place].address for place in (PARIS, FRANKFURT, TOKYO)}
    sidecar = fleet.registrar.sidecar
    with (
        sidecar(_SLOT, FRANKFURT, addresses[FRANKFURT]),
        sidecar(_SLOT, TOKYO, addresses[TOKYO]),
        sidecar(_SLOT, PARIS, addresses[PARIS]) as beside,
    ):
        wait_until(lambda: fleet.ask("paris", "registered").status == 200, "the first are registered")
        wait_until(lambda: _everywhere(fleet, PARIS, FRANKFURT, TOKYO), "every Envoy has all three")
        with Traffic(fleet, "registered") as traffic:
            traffic.advance()
            started = time.monotonic()
            beside.kill()
            fleet.models[PARIS].kill()
            before = fleet.mark()
            wait_until(
                lambda: _everywhere(fleet, FRANKFURT, TOKYO), "its lease is over", patience=_TTL + _LATE
            )
            record_property("seconds until the dead backend was out everywhere", time.monotonic() - started)
            traffic.advance()
            assert fleet.heard("registered", before).keys() == {FRANKFURT, TOKYO}
            fleet.models[PARIS].start()
            with sidecar(_SLOT, PARIS, addresses[PARIS]):
                wait_until(lambda: PARIS in fleet.heard("registered", before), "it is asked again")
                traffic.advance()
    assert traffic.met.keys() == {"200"}
    # The next change is to be the next test's.
    for place, address in addresses.items():
        assert fleet.registrar.ask(_SLOT, "DELETE", location=place, address=address).is_success
    fleet.settle()
