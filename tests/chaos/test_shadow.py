"""Shadow traffic of three Envoys: how much of it there is, where it goes, and that nobody who asks notices."""

from __future__ import annotations

import pytest

from tests.chaos.chance import is_likely
from tests.chaos.fleet import DUBLIN, FORBIDDEN, FRANKFURT, GATEWAYS, PARIS, TOKYO, VIRGINIA, Fleet
from tests.chaos.process import Heard
from tests.e2e.manifest import Manifest
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_REQUESTS = 400


def _deployment(fleet: Fleet, percent: float) -> Manifest:
    """Both revisions have backends abroad, too, where policy does not let them go."""
    return fleet.deployment(
        fleet.revision("v1", PARIS, DUBLIN, VIRGINIA, weight=1),
        fleet.revision("v3", FRANKFURT, FORBIDDEN, TOKYO, weight=0),
        shadow={"revision": "v3", "percent": percent},
        policies=["europe"],
    )


def _ask(fleet: Fleet, gateway: str, model: str, requests: int = _REQUESTS) -> None:
    with fleet.connect(gateway) as wire:
        for at in range(requests):
            answer = wire.ask(f"/acme/models/{model}/{gateway}-{at}", "POST", fleet.headers, b"x" * 100)
            assert answer.status == 200
            assert answer.json()["headers"]["x-fairlead-revision"] == "v1"


def _copies(fleet: Fleet, model: str, since: dict[str, int]) -> list[Heard]:
    return [each for each in fleet.heard(model, since).get(FRANKFURT, []) if each.revision == "v3"]


def _wait_for_the_last(fleet: Fleet, since: dict[str, int]) -> None:
    """Until one that is surely copied has come, which each Envoy sent after all others."""
    for gateway in GATEWAYS:
        fleet.ask(gateway, f"whole/last-of-{gateway}")
    wanted = {f"/last-of-{gateway}" for gateway in GATEWAYS}
    wait_until(
        lambda: wanted <= {each.target for each in _copies(fleet, "whole", since)},
        "the last copies have come",
    )


def _list_whole(fleet: Fleet, since: dict[str, int]) -> list[str]:
    """What was copied of the model of which all is, but for the last ones."""
    copies = _copies(fleet, "whole", since)
    return sorted(each.target for each in copies if "last-of" not in each.target)


def test_each_envoy_copies_its_part_and_to_allowed_places_only(fleet: Fleet) -> None:
    fleet.put("whole", _deployment(fleet, 100))
    fleet.put("part", _deployment(fleet, 25))
    before = fleet.mark()
    for gateway in GATEWAYS:
        _ask(fleet, gateway, "whole", 50)
        _ask(fleet, gateway, "part")
    _wait_for_the_last(fleet, before)
    # One may still be on its way over another connection.
    all_of_them = sorted(f"/{gateway}-{at}" for gateway in GATEWAYS for at in range(50))
    wait_until(lambda: _list_whole(fleet, before) == all_of_them, "each has been copied once")
    copies = _copies(fleet, "part", before)
    for gateway in GATEWAYS:
        copied = sum(each.target.startswith(f"/{gateway}-") for each in copies)
        assert is_likely(copied, _REQUESTS, _REQUESTS / 4), (gateway, copied)
    assert is_likely(len(copies), len(GATEWAYS) * _REQUESTS, len(GATEWAYS) * _REQUESTS / 4), len(copies)
    for model in ("whole", "part"):
        assert fleet.heard(model, before).keys() <= {PARIS, DUBLIN, FRANKFURT}


def test_a_copy_says_what_it_is_and_nothing_of_the_gateway(fleet: Fleet) -> None:
    fleet.put("whole", _deployment(fleet, 100))
    before = fleet.mark()
    _wait_for_the_last(fleet, before)
    heard = fleet.heard("whole", before)
    originals = {each.target: each for place in (PARIS, DUBLIN) for each in heard.get(place, [])}
    for copy in _copies(fleet, "whole", before):
        original = originals[copy.target]
        assert copy.headers["x-fairlead-shadow"] == "true"
        assert "x-fairlead-shadow" not in original.headers
        assert copy.headers.keys() - original.headers.keys() == {"x-fairlead-shadow"}
        hops, more = (each.headers["x-forwarded-for"] for each in (original, copy))
        assert more.startswith(f"{hops},"), "the gateway that made the copy is the last hop"
        assert copy.headers["x-fairlead-region"] == FRANKFURT
        assert "authorization" not in copy.headers


@pytest.mark.parametrize("mood", ["hang", "reset", "status 503", "slow", "kill"])
def test_a_shadow_that_fails_hurts_nobody_and_is_not_sent_elsewhere(fleet: Fleet, mood: str) -> None:
    fleet.put("whole", _deployment(fleet, 100))
    shadow = fleet.models[FRANKFURT]
    if mood == "kill":
        shadow.kill()
    else:
        shadow.be(mood)
    before = fleet.mark()
    for gateway in GATEWAYS:
        _ask(fleet, gateway, "whole", 40)
    heard = fleet.heard("whole", before)
    assert heard.keys() <= {PARIS, DUBLIN, FRANKFURT}
    served = [each for place in (PARIS, DUBLIN) for each in heard.get(place, [])]
    assert len(served) == 40 * len(GATEWAYS)
    assert {each.revision for each in served} == {"v1"}
