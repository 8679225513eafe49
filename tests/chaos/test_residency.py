"""Callers who are bound to a residency, at three Envoys, while models die, hang, reset and refuse."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.chaos.fleet import CLAIM, DUBLIN, FORBIDDEN, FRANKFURT, GATEWAYS, PARIS, TOKYO, VIRGINIA, Fleet
from tests.chaos.traffic import Traffic
from tests.e2e.wire import Headers
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_RESIDENCY, _HINT = "x-fairlead-residency", "x-fairlead-location-hint"
_EUROPE = {PARIS, FRANKFURT, DUBLIN}
_MOODS = ("hang", "reset", "status 503", "status 429", "slow")
_SERVED = {"200", "429"}
"""What a caller is answered as long as one place of its residency is well: 429 is the model's own answer."""
_LED_THERE = {*_SERVED, "503", "UPSTREAM_RESET", "UPSTREAM_TIMEOUT"}
"""What a hinted caller may be answered besides: a hint leads there until a health check says that the place is down."""


def _deploy(fleet: Fleet, name: str, *policies: str) -> None:
    """A model that is held up for a second is not taken for one that hangs. How often a request is sent again is for
    those with a hint: all lead there, until the Envoy's main thread has told its worker that the place is gone."""
    fleet.deploy(
        name,
        *(PARIS, FRANKFURT, DUBLIN, VIRGINIA, TOKYO),
        policies=policies,
        routing={"callerChoice": True},
        retries={"perTryTimeout": "1500ms", "attempts": 8},
        check={"interval": "500ms", "timeout": "500ms", "unhealthyThreshold": 3},
    )


class Caller(NamedTuple):
    """What a caller says, where that may lead, and what may come of it while not all of these places are down."""

    headers: Headers
    places: set[str]
    answers: set[str]


def _list_callers(fleet: Fleet) -> dict[str, Caller]:
    """Bound by header, by claim and by both; with a hint beside, and with nothing but a hint."""
    europe = fleet.bearer(**{CLAIM: "eu"})
    return {
        "header": Caller([*fleet.headers, (_RESIDENCY, "eu")], _EUROPE, _SERVED),
        "claim": Caller(europe, _EUROPE, _SERVED),
        "both": Caller([*europe, (_RESIDENCY, "country:de")], {FRANKFURT}, _SERVED),
        "hinted": Caller([*europe, (_HINT, DUBLIN)], _EUROPE, _LED_THERE),
        "abroad": Caller([*europe, (_HINT, VIRGINIA)], _EUROPE, _SERVED),
        "wish": Caller([*fleet.headers, (_HINT, FRANKFURT)], {*_EUROPE, VIRGINIA, TOKYO}, _SERVED),
    }


def _find_places(fleet: Fleet, model: str, tag: str, since: dict[str, int]) -> set[str]:
    """Where the requests of one kind of caller went."""
    heard = fleet.heard(model, since)
    return {place for place, each in heard.items() if any(one.target.startswith(f"/{tag}-") for one in each)}


def test_whatever_happens_nobody_is_served_outside_of_his_residency(fleet: Fleet) -> None:
    """First to one place after the other, then to all of Europe at once."""
    _deploy(fleet, "free")
    before, callers = fleet.mark(), _list_callers(fleet)
    with ExitStack() as running:
        traffic = {
            tag: running.enter_context(Traffic(fleet, "free", tag=tag, headers=caller.headers))
            for tag, caller in callers.items()
        }
        for place in (PARIS, DUBLIN):
            fleet.models[place].kill()
            _advance(traffic)
            fleet.models[place].start()
            for mood in _MOODS:
                fleet.models[place].be(mood)
                _advance(traffic)
            fleet.models[place].be("well")
        for tag, each in traffic.items():
            assert each.met.keys() <= callers[tag].answers, (tag, each.met)
        for place in _EUROPE:
            fleet.models[place].kill()
        for tag in callers.keys() - {"wish"}:
            wait_until(lambda tag=tag: traffic[tag].met["UPSTREAM_UNAVAILABLE"], f"{tag} is left with nobody")
        _advance(traffic)
    for tag, caller in callers.items():
        assert _find_places(fleet, "free", tag, before) <= caller.places, tag
        assert traffic[tag].met.keys() <= {*caller.answers, "UPSTREAM_UNAVAILABLE"}, (tag, traffic[tag].met)
    assert _find_places(fleet, "free", "hinted", before) >= {DUBLIN, FRANKFURT}
    assert _find_places(fleet, "free", "wish", before) >= {FRANKFURT, VIRGINIA, TOKYO}


def _advance(traffic: dict[str, Traffic]) -> None:
    for each in traffic.values():
        each.advance(4)


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_what_is_not_offered_is_refused_everywhere_and_reaches_nobody(fleet: Fleet, gateway: str) -> None:
    _deploy(fleet, "within", "europe")
    before = fleet.mark()
    met: Counter[tuple[int, str | None]] = Counter()
    for within in ("na", "as", "country:us", f"location:{VIRGINIA}", "EU", "nowhere"):
        for headers in ([*fleet.headers, (_RESIDENCY, within)], fleet.bearer(**{CLAIM: within})):
            for method in ("GET", "POST"):
                answer = fleet.ask(gateway, "within", headers, method)
                met[answer.status, answer.code] += 1
    assert met == {(403, "RESIDENCY_NOT_OFFERED"): 24}
    assert fleet.heard("within", before) == {}


def test_what_policy_forbids_no_header_and_no_hint_opens(fleet: Fleet) -> None:
    """All that policy allows is down; the places beyond are well, and are asked for by name."""
    fleet.deploy(
        "fenced",
        *(PARIS, FRANKFURT, VIRGINIA, FORBIDDEN, TOKYO),
        policies=("europe",),
        routing={"callerChoice": True},
    )
    for place in (PARIS, FRANKFURT):
        fleet.models[place].kill()
    before = fleet.mark()
    bound = [*fleet.headers, (_RESIDENCY, "eu")]
    for gateway in GATEWAYS:
        for place in (VIRGINIA, TOKYO):
            for headers in (bound, fleet.headers):
                answer = fleet.ask(gateway, "fenced", [*headers, (_HINT, place)])
                assert (answer.status, answer.code) == (503, "UPSTREAM_UNAVAILABLE")
    assert fleet.heard("fenced", before) == {}


def test_a_hint_to_a_place_that_is_gone_costs_no_request(fleet: Fleet) -> None:
    """Killed under way, over and over; where else there is, each Envoy's hinted requests are served."""
    _deploy(fleet, "hinted")
    hinted = [*fleet.headers, (_HINT, DUBLIN)]
    for gateway in GATEWAYS:
        for _ in range(3):
            before = fleet.mark()
            with Traffic(fleet, "hinted", headers=hinted, gateways=[gateway]) as traffic:
                wait_until(
                    lambda before=before: DUBLIN in fleet.heard("hinted", before), "the hint is followed"
                )
                fleet.models[DUBLIN].kill()
                traffic.advance(20)
                fleet.models[DUBLIN].start()
            assert traffic.met.keys() == {"200"}
