"""Models that are killed, hang, reset and refuse: where requests go meanwhile, and where they never do."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable

import pytest

from tests.chaos.chance import is_likely
from tests.chaos.fleet import (
    DUBLIN,
    FORBIDDEN,
    FRANKFURT,
    GATEWAYS,
    PARIS,
    TOKYO,
    VIRGINIA,
    Fleet,
)
from tests.chaos.process import ModelProcess
from tests.chaos.traffic import Traffic
from tests.e2e.manifest import backend
from tests.e2e.wire import Wire
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_BRISK = {"interval": "300ms", "timeout": "300ms", "unhealthyThreshold": 4}
"""Who is gone is soon found out, and a model that the machine holds up for a second is not gone."""
# A place, the gateways to which it is the nearest of the allowed ones, and what happens there.
_BAD_DAYS = (
    (PARIS, ("paris",), ("hang", "reset", "status 503")),
    (FRANKFURT, ("tokyo",), ("slow", "status 500", "status 429")),
)


def _count(fleet: Fleet, model: str, ask: Callable[[], None]) -> dict[str, int]:
    """How many of the requests for a model each place had meanwhile; those that had none are left out."""
    before = {name: each.asked() for name, each in fleet.models.items()}
    ask()
    counts = {name: (each.asked() - before[name]).total() for name, each in fleet.models.items()}
    return {name: found for name, found in counts.items() if found}


def _send(fleet: Fleet, gateway: str, model: str, requests: int = 20, method: str = "GET") -> Counter[str]:
    met: Counter[str] = Counter()
    with Wire(fleet.ports[gateway]) as wire:
        for _ in range(requests):
            answer = wire.ask(f"/acme/models/{model}", method, fleet.headers)
            met[answer.code or str(answer.status)] += 1
    return met


def _served_by(fleet: Fleet, gateway: str, model: str, requests: int = 20) -> dict[str, int]:
    return _count(fleet, model, lambda: _is_served(fleet, gateway, model, requests))


def _is_served(fleet: Fleet, gateway: str, model: str, requests: int) -> None:
    assert _send(fleet, gateway, model, requests) == {"200": requests}


def test_nothing_leaves_the_allowed_places_and_nothing_that_may_be_repeated_is_lost(
    fleet: Fleet, record_property: Callable[[str, object], None]
) -> None:
    """Whatever happens to two of the three allowed places, one after the other; the forbidden ones are well."""
    fleet.deploy(
        "resident",
        *(PARIS, FRANKFURT, DUBLIN, FORBIDDEN, TOKYO),
        policies=("europe",),
        retries={"perTryTimeout": "1s"},
        check=_BRISK,
    )
    before = {name: each.asked() for name, each in fleet.models.items()}
    with Traffic(fleet, "resident", "GET") as reading, Traffic(fleet, "resident", "POST") as writing:
        for near, nearest_to, moods in _BAD_DAYS:
            model = fleet.models[near]
            _wait_for_use(model, nearest_to)
            started = time.monotonic()
            model.kill()
            reading.advance(1)
            took = time.monotonic() - started
            record_property(f"seconds until each gateway was served without {near}", took)
            reading.advance()
            model.start()
            for mood in moods:
                _wait_for_use(model, nearest_to)
                model.be(mood)
                reading.advance()
                writing.advance(1)
                model.be("well")
            assert reading.met.keys() <= {"200", "500", "429"}, (
                "nothing is lost, and a model's own words are passed"
            )
        for near in (PARIS, FRANKFURT, DUBLIN):
            fleet.models[near].kill()
        wait_until(lambda: writing.met["UPSTREAM_UNAVAILABLE"], "nobody is left")
    assert writing.met.keys() <= {
        *("200", "500", "503", "429"),
        *("UPSTREAM_RESET", "UPSTREAM_TIMEOUT", "UPSTREAM_UNAVAILABLE"),
    }
    asked = {name: each.asked() - before[name] for name, each in fleet.models.items()}
    posts = sum((each for each in asked.values()), Counter())
    assert [path for path, times in posts.items() if path.startswith("POST") and times > 1] == []
    assert {PARIS, FRANKFURT} <= {name for name, each in asked.items() if each} <= {PARIS, FRANKFURT, DUBLIN}


def _wait_for_use(model: ModelProcess, gateways: tuple[str, ...]) -> None:
    """Until the model is asked from each of the gateways: Envoy leaves one that failed out for a while."""
    before = model.asked()
    wait_until(
        lambda: all(any(f"GET /GET-{each}-" in path for path in model.asked() - before) for each in gateways),
        "the model is used",
    )


def test_places_share_by_weight_and_the_others_wait_for_them(fleet: Fleet) -> None:
    """From whatever region; a killed one's share goes to the other, then to the nearest of the rest, then standby."""
    weights = {PARIS: 80, VIRGINIA: 20}
    fleet.deploy(
        "shared",
        *(PARIS, VIRGINIA, FRANKFURT, TOKYO, fleet.backend(DUBLIN, standby=True)),
        routing={"mode": "weighted", "weights": weights},
        check=_BRISK,
    )
    for gateway in GATEWAYS:
        _settled(fleet, gateway, "shared", {PARIS, VIRGINIA})  # the first check may have been answered late
        counts = _served_by(fleet, gateway, "shared", 500)
        assert counts.keys() == {PARIS, VIRGINIA}
        assert counts[PARIS] == pytest.approx(400, abs=10)
    fleet.models[PARIS].kill()
    _settle(fleet, "shared", paris=VIRGINIA, virginia=VIRGINIA, tokyo=VIRGINIA)
    fleet.models[VIRGINIA].kill()
    _settle(fleet, "shared", paris=FRANKFURT, virginia=FRANKFURT, tokyo=TOKYO)
    fleet.models[TOKYO].kill()
    _settle(fleet, "shared", paris=FRANKFURT, virginia=FRANKFURT, tokyo=FRANKFURT)
    fleet.models[FRANKFURT].kill()
    _settle(fleet, "shared", paris=DUBLIN, virginia=DUBLIN, tokyo=DUBLIN)
    fleet.models[PARIS].start()
    _settle(fleet, "shared", paris=PARIS, virginia=PARIS, tokyo=PARIS)


def _settled(fleet: Fleet, gateway: str, model: str, places: set[str]) -> None:
    """Requests until 100 in a row are served, by these places and no other.

    Until then one may be lost: an Envoy may learn that a place is gone which it did not use while a request, which was
    sent away from the place before, is on its way there.
    """

    def look() -> bool:
        met: Counter[str] = Counter()
        asked = _count(fleet, model, lambda: met.update(_send(fleet, gateway, model, 100)))
        assert met.keys() <= {"200", "UPSTREAM_UNAVAILABLE"}
        return asked.keys() == places and met == {"200": 100}

    wait_until(look, f"{gateway} is served by {places}")


def _settle(fleet: Fleet, model: str, **places: str) -> None:
    for gateway, place in places.items():
        _settled(fleet, gateway, model, {place})


def test_a_place_that_lost_a_part_of_its_backends_is_asked_for_what_it_can_bear(fleet: Fleet) -> None:
    """1.4 times the part that is left: with three of four all, with two of four 70 of 100."""
    near = [PARIS, FRANKFURT, DUBLIN, FORBIDDEN]
    backends = [backend(PARIS, fleet.models[each].address) for each in near]
    fleet.deploy("broad", *backends, VIRGINIA, check=_BRISK)
    _settled(fleet, "paris", "broad", {*near})
    fleet.models[DUBLIN].kill()
    _settled(fleet, "paris", "broad", {PARIS, FRANKFURT, FORBIDDEN})
    fleet.models[FORBIDDEN].kill()
    _settled(fleet, "paris", "broad", {PARIS, FRANKFURT, VIRGINIA})
    counts = _served_by(fleet, "paris", "broad", 1500)
    assert is_likely(counts[VIRGINIA], 1500, 450), counts


def test_a_failed_connection_goes_to_another_place_that_shares(fleet: Fleet) -> None:
    """Without health checks, by a retry: also to one with a small weight, and before those that wait."""
    fleet.deploy(
        "lopsided",
        *(PARIS, VIRGINIA, TOKYO),
        routing={"mode": "weighted", "weights": {PARIS: 97, VIRGINIA: 3}},
    )
    fleet.models[PARIS].kill()
    assert _count(fleet, "lopsided", lambda: _is_served(fleet, "tokyo", "lopsided", 1)) == {VIRGINIA: 1}


def test_a_pinned_deployment_is_served_there_or_not_at_all(fleet: Fleet) -> None:
    fleet.deploy(
        "pinned", *(PARIS, FRANKFURT, VIRGINIA, TOKYO), routing={"mode": "pinned", "location": FRANKFURT}
    )
    for gateway in GATEWAYS:
        assert _served_by(fleet, gateway, "pinned") == {FRANKFURT: 20}
    fleet.models[FRANKFURT].kill()
    for gateway in GATEWAYS:
        for method in ("GET", "POST"):
            refused = _count(
                fleet, "pinned", lambda gateway=gateway, method=method: _is_refused(fleet, gateway, method)
            )
            assert refused == {}
    fleet.models[FRANKFURT].start()
    for gateway in GATEWAYS:
        wait_until(lambda gateway=gateway: _send(fleet, gateway, "pinned", 1) == {"200": 1}, "it is back")


def _is_refused(fleet: Fleet, gateway: str, method: str) -> None:
    assert _send(fleet, gateway, "pinned", 5, method) == {"UPSTREAM_UNAVAILABLE": 5}


def test_a_declared_order_holds_everywhere_and_a_standby_is_the_last(fleet: Fleet) -> None:
    fleet.deploy(
        "ordered",
        *(PARIS, VIRGINIA, TOKYO, fleet.backend(DUBLIN, standby=True)),
        routing={"order": [TOKYO, PARIS]},
    )
    for place in (TOKYO, PARIS, VIRGINIA, DUBLIN):
        for gateway in GATEWAYS:
            assert _served_by(fleet, gateway, "ordered") == {place: 20}
        fleet.models[place].kill()


def test_a_standby_waits_for_all_others_in_any_mode(fleet: Fleet) -> None:
    fleet.deploy("waiting", *(fleet.backend(PARIS, standby=True), FRANKFURT, TOKYO))
    fleet.deploy(
        "waiting-pinned",
        *(fleet.backend(PARIS, standby=True), backend(PARIS, fleet.models[FORBIDDEN].address), TOKYO),
        routing={"mode": "pinned", "location": PARIS},
    )
    assert _served_by(fleet, "paris", "waiting") == {FRANKFURT: 20}
    assert _served_by(fleet, "paris", "waiting-pinned") == {FORBIDDEN: 20}
    fleet.models[FRANKFURT].kill()
    assert _served_by(fleet, "paris", "waiting") == {TOKYO: 20}
    fleet.models[TOKYO].kill()
    fleet.models[FORBIDDEN].kill()
    assert _served_by(fleet, "paris", "waiting") == {PARIS: 20}
    assert _served_by(fleet, "paris", "waiting-pinned") == {PARIS: 20}
