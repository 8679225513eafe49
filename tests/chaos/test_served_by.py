"""Who served a request, as three Envoys tell it and as the models heard it, while models fail."""

from __future__ import annotations

import re
from functools import partial
from itertools import count
from typing import NamedTuple

import pytest

from tests.chaos.fleet import FRANKFURT, GATEWAYS, NEXT, PARIS, REGIONS, TOKYO, VIRGINIA, Fleet
from tests.e2e.manifest import Manifest
from tests.e2e.wire import Answer
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_HEADER = "x-fairlead-served-by"
_FORM = re.compile(r'"(v\d)";region="([a-z0-9-]+)";attempts=(\d)')
_USED = (PARIS, FRANKFURT, VIRGINIA, TOKYO)
_numbers = count()


class _Served(NamedTuple):
    """Who served a request, as its answer says, and how many models heard of it."""

    revision: str
    region: str
    attempts: int
    heard: int


def _deployment(fleet: Fleet, **said: object) -> Manifest:
    return fleet.deployment(*(fleet.revision(name, *_USED, weight=1) for name in ("v1", "v2")), **said)


def _ask(fleet: Fleet, gateway: str, model: str, status: int = 200) -> _Served:
    """Ask for a path of its own; what the answer says is what the last model that heard of it was told."""
    path, before = f"/{next(_numbers)}", fleet.mark()
    answer = fleet.ask(gateway, f"{model}{path}")
    assert answer.status == status, answer
    assert answer.code is None
    told = _FORM.fullmatch(answer.header(_HEADER) or "")
    assert told, answer
    _check_addresses(answer)
    heard = [each for requests in fleet.heard(model, before).values() for each in requests]
    assert {(each.target, each.revision) for each in heard} == {(path, told[1])}
    by = {each.model: each.headers["x-fairlead-region"] for each in heard}
    assert by[told[2]] == told[2], "a model's process is called as its place is"
    if status == 200:
        assert answer.json()["model"] == told[2]
    return _Served(told[1], told[2], int(told[3]), len(heard))


def _check_addresses(answer: Answer) -> None:
    """Neither where models are nor what they say of themselves is in the headers of an answer."""
    for address in ("127.0.0.1", "10.0.0.1"):
        assert address not in str(answer.headers)


def test_every_envoy_says_who_served_and_how_many_were_asked(fleet: Fleet) -> None:
    """Also when the nearest place says 503, and when all do: then the last one's own answer is passed."""
    fleet.put("told", _deployment(fleet, servedBy=True))
    for gateway, near in REGIONS.items():
        served = [_ask(fleet, gateway, "told") for _ in range(40)]
        assert {each[1:] for each in served} == {(near, 1, 1)}
        assert {each.revision for each in served} == {"v1", "v2"}
        fleet.models[near].be("status 503")
        for _ in range(5):
            assert _ask(fleet, gateway, "told")[1:] == (NEXT[gateway], 2, 2)
        fleet.models[near].be("well")
    for model in fleet.models.values():
        model.be("status 503")
    for gateway in GATEWAYS:
        refused = _ask(fleet, gateway, "told", 503)
        assert refused.attempts == refused.heard == len(_USED)


def test_right_after_a_place_is_killed_the_answer_says_where_from_and_at_which_attempt(fleet: Fleet) -> None:
    """Each Envoy's nearest place in turn; the first request already is told so, and later ones do not try it."""
    fleet.put("told-killed", _deployment(fleet, servedBy=True))
    for gateway, near in REGIONS.items():
        ask = partial(_ask, fleet, gateway, "told-killed")
        assert ask()[1:] == (near, 1, 1)
        fleet.models[near].kill()
        assert ask()[1:] == (NEXT[gateway], 2, 1)
        later = (NEXT[gateway], 1, 1)
        wait_until(lambda ask=ask, later=later: ask()[1:] == later, "the place is out of service")
        fleet.models[near].start()


def test_each_model_that_resets_a_request_is_an_attempt(fleet: Fleet) -> None:
    """First the nearest place does, then each other one, too, until the last one that is left serves."""
    fleet.put("told-reset", _deployment(fleet, servedBy=True))
    for gateway, near in REGIONS.items():
        fleet.models[near].be("reset")
        assert _ask(fleet, gateway, "told-reset")[1:] == (NEXT[gateway], 2, 2)
        last, other = (place for place in _USED if place not in (near, NEXT[gateway]))
        for place in (NEXT[gateway], other):
            fleet.models[place].be("reset")
        served = _ask(fleet, gateway, "told-reset")
        assert (served.region, served.attempts) == (last, served.heard)
        assert served.attempts > 2
        for place in (near, NEXT[gateway], other):
            fleet.models[place].be("well")


@pytest.mark.parametrize("told", [True, False])
def test_by_default_nothing_is_told_and_nobody_served_what_the_gateway_answers(
    fleet: Fleet, told: bool
) -> None:
    """Whatever the models themselves say, and while they fail."""
    model = "open" if told else "silent"
    fleet.put(model, _deployment(fleet, **({"servedBy": True} if told else {})))
    for gateway, near in REGIONS.items():
        for mood in ("well", "status 503", "status 500", "reset"):
            fleet.models[near].be(mood)
            answer = fleet.ask(gateway, model)
            assert answer.code is None
            assert len(answer.all(_HEADER)) == int(told)
            _check_addresses(answer)
        answer = fleet.ask(gateway, model, method="POST")
        assert (answer.code, answer.all(_HEADER)) == ("UPSTREAM_RESET", [])
        fleet.models[near].be("well")
    for each in fleet.models.values():
        each.kill()
    for gateway in GATEWAYS:
        answer = fleet.ask(gateway, model)
        assert (answer.code, answer.all(_HEADER)) == ("UPSTREAM_UNAVAILABLE", [])
        _check_addresses(answer)
