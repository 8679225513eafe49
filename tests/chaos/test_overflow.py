"""One region has too much to do: its Envoy spills, the others' do not, and nothing leaves what policy allows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.chaos.fleet import DUBLIN, FORBIDDEN, FRANKFURT, GATEWAYS, PARIS, REGIONS, TOKYO, VIRGINIA, Fleet
from tests.chaos.traffic import Traffic
from tests.e2e.held import hold_order
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_PATH = "acme/models/spilling"
_CLUSTER = f"{_PATH}/production/v1"
_BUSY = 14
"""Clients at one Envoy that ask without a pause for what takes 200 ms: so many requests are in progress."""


@pytest.fixture
def spilling(fleet: Fleet) -> Iterator[Fleet]:
    """A slow model, of which every Envoy has had a request; nothing spills in the end."""
    for place in (PARIS, FRANKFURT, DUBLIN):
        fleet.models[place].be("slow")
    fleet.deploy(
        "spilling",
        *(PARIS, FRANKFURT, DUBLIN, VIRGINIA, FORBIDDEN, TOKYO),
        policies=("europe",),
        routing={"overflow": {"above": 9, "below": 5, "share": 40}},
    )
    for gateway in GATEWAYS:
        assert fleet.ask(gateway, "spilling").status == 200
    yield fleet
    wait_until(lambda: _spilling(fleet) == [], "all is at home again")


def _spilling(fleet: Fleet) -> list[str]:
    """The regions that spill."""
    return [region for each in fleet.serving.ask("/overflows")["overflows"] for region in each["regions"]]


def _order(fleet: Fleet, gateway: str) -> list[tuple[int, str, int]]:
    return hold_order(fleet.envoys[gateway], _CLUSTER)


def _is_shared(fleet: Fleet, gateway: str, burst: Traffic, *shares: tuple[str, int]) -> bool:
    """Whether these places have these shares of the burst, from now until each client has been around many times.

    Home has less to do than `above` then, and must spill on all the while. If the machine holds the clients up for more
    than a second, there is nothing to do, and it is right to stop: then it begins once more.
    """
    spilling = [(0, *each) for each in shares]
    if _order(fleet, gateway)[:2] != spilling:
        return False
    since = fleet.mark()
    burst.advance(20)
    asked = {
        place: sum(each.target.startswith("/burst-") for each in requests)
        for place, requests in fleet.heard("spilling", since).items()
    }
    percent = {place: 100 * count / sum(asked.values()) for place, count in asked.items()}
    return (
        all(percent.get(place) == pytest.approx(share, abs=10) for place, share in shares)
        and _spilling(fleet) == [REGIONS[gateway]]
        and _order(fleet, gateway)[:2] == spilling
    )


@pytest.mark.parametrize("gateway", ["paris", "tokyo"])
def test_the_busy_region_alone_spills_and_comes_back(spilling: Fleet, gateway: str) -> None:
    """To its own next place; the other regions' Envoys go on as they were, and are served at home."""
    fleet = spilling
    others = [each for each in GATEWAYS if each != gateway]
    calm = {each: _order(fleet, each) for each in GATEWAYS}
    (first, home, _), (second, beyond, _) = calm[gateway][:2]
    assert (first, second) == (0, 1)
    before = fleet.mark()
    with ExitStack() as running:
        quiet = running.enter_context(Traffic(fleet, "spilling", tag="quiet", gateways=others))
        with Traffic(fleet, "spilling", tag="burst", gateways=[gateway], clients=_BUSY) as burst:
            wait_until(
                lambda: _is_shared(fleet, gateway, burst, (home, 60), (beyond, 40)),
                "the two share for a while",
            )
            assert {each: _order(fleet, each) for each in others} == {each: calm[each] for each in others}
        wait_until(lambda: _spilling(fleet) == [], "it is over")
        wait_until(lambda: _order(fleet, gateway) == calm[gateway], "the Envoy has it")
        quiet.advance(2)
    assert burst.met.keys() == quiet.met.keys() == {"200"}
    heard = fleet.heard("spilling", before)
    assert heard.keys() <= {PARIS, FRANKFURT, DUBLIN}
    for each in others:
        at = {place for place, seen in heard.items() if any(f"/quiet-{each}-" in one.target for one in seen)}
        assert at == {calm[each][0][1]}, each
