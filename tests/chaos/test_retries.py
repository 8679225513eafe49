"""What three Envoys send again, counted at the models: what went wrong, by which method, and how often in all."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.burst import Burst
from tests.chaos.everywhere import Met, ask_everywhere, settle_at
from tests.chaos.fleet import DUBLIN, FORBIDDEN, FRANKFURT, GATEWAYS, PARIS, TOKYO, Fleet
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_SAID: dict[str, dict[str, Any]] = {
    "repeated": {},
    "repeated-eager": {"retryNonIdempotent": True},
    "repeated-elsewhere": {"retryOn429": True},
}
_CLIENTS = 80
_FEWEST = 10
"""Retries at once that Envoy always allows; more only up to a quarter of the requests in progress."""


@pytest.fixture
def ready(fleet: Fleet, deployed: None) -> Fleet:
    """The fleet, with every model served in Paris by every Envoy."""
    settle_at(fleet, PARIS, *_SAID)
    return fleet


@pytest.fixture(scope="module")
def deployed(running: Fleet) -> None:
    """From every region first in Paris, then Frankfurt, then Dublin; and never in what is there beside."""
    for name, retries in _SAID.items():
        running.deploy(
            name,
            *(PARIS, FRANKFURT, DUBLIN, FORBIDDEN, TOKYO),
            policies=("europe",),
            routing={"order": [PARIS, FRANKFURT, DUBLIN]},
            **({"retries": retries} if retries else {}),
        )


def _check(met: list[Met], status: int, code: str | None, *places: str) -> None:
    """The answer at every Envoy, and who had the request, each once."""
    for each in met:
        assert (each.answer.status, each.answer.code) == (status, code), each
        assert each.places() == [*places], each
        if status in (429, 503) and code is None:
            assert each.answer.header("retry-after") == "77", "the model's own words"


@pytest.mark.parametrize(
    ("mood", "status", "code"), [("reset", 502, "UPSTREAM_RESET"), ("status 503", 503, None)]
)
def test_what_was_sent_goes_elsewhere_only_if_it_may_run_twice(
    ready: Fleet, mood: str, status: int, code: str | None
) -> None:
    """Idempotent methods, and those of a deployment that says so. Any other runs in one place, and not again."""
    ready.models[PARIS].be(mood)
    _check(ask_everywhere(ready, "repeated", "GET"), 200, None, PARIS, FRANKFURT)
    _check(ask_everywhere(ready, "repeated-elsewhere", "PUT"), 200, None, PARIS, FRANKFURT)
    _check(ask_everywhere(ready, "repeated-eager", "POST"), 200, None, PARIS, FRANKFURT)
    _check(ask_everywhere(ready, "repeated", "POST"), status, code, PARIS)
    _check(ask_everywhere(ready, "repeated-elsewhere", "POST"), status, code, PARIS)


def test_what_a_dying_model_has_in_hand_goes_elsewhere_only_if_it_may_run_twice(ready: Fleet) -> None:
    """All Envoys' at once."""
    ready.models[PARIS].be("hold")
    with (
        Burst(ready, "repeated", "GET") as reading,
        Burst(ready, "repeated-eager", "POST") as eager,
        Burst(ready, "repeated-elsewhere", "POST") as writing,
    ):
        for burst in (reading, eager, writing):
            burst.send(1)
            for gateway in GATEWAYS:
                wait_until(
                    lambda burst=burst, gateway=gateway: burst.heard(gateway) == {PARIS: 1}, "Paris has it"
                )
        ready.models[PARIS].kill()
        for burst, code, places in (
            (reading, "200", [PARIS, FRANKFURT]),
            (eager, "200", [PARIS, FRANKFURT]),
            (writing, "UPSTREAM_RESET", [PARIS]),
        ):
            for gateway, answers in burst.wait().items():
                assert [each.code or str(each.status) for each in answers] == [code]
                assert burst.heard(gateway) == dict.fromkeys(places, 1)


def test_any_other_answer_is_the_models_own_and_final(ready: Fleet) -> None:
    for status in (400, 404, 408, 429, 500):
        ready.models[PARIS].be(f"status {status}")
        for model in ("repeated", "repeated-eager"):
            for method in ("GET", "POST"):
                _check(ask_everywhere(ready, model, method), status, None, PARIS)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_too_many_requests_go_to_each_other_place_once_and_then_back(ready: Fleet, method: str) -> None:
    """Where the deployment says so. Whoever said `Retry-After: 77` is not asked again, nor anyone beyond policy."""
    ready.models[PARIS].be("status 429")
    _check(ask_everywhere(ready, "repeated-elsewhere", method), 200, None, PARIS, FRANKFURT)
    ready.models[FRANKFURT].be("status 429")
    _check(ask_everywhere(ready, "repeated-elsewhere", method), 200, None, PARIS, FRANKFURT, DUBLIN)
    ready.models[DUBLIN].be("status 429")
    _check(ask_everywhere(ready, "repeated-elsewhere", method), 429, None, PARIS, FRANKFURT, DUBLIN)


def test_places_that_all_fail_are_not_buried_under_retries(ready: Fleet) -> None:
    """One after the other says 503 to all that it has in hand; each request may be sent three times more."""
    near, following, last = (ready.models[place] for place in (PARIS, FRANKFURT, DUBLIN))
    near.be("hold")
    following.be("hold")
    with Burst(ready, "repeated") as burst:
        burst.send(_CLIENTS)
        for gateway in GATEWAYS:
            wait_until(
                lambda gateway=gateway: burst.heard(gateway) == {PARIS: _CLIENTS}, "Paris has all in hand"
            )
        last.be("status 503")
        near.be("status 503")
        for gateway in GATEWAYS:
            wait_until(
                lambda gateway=gateway: (
                    len(burst.answers(gateway)) + burst.heard(gateway).get(FRANKFURT, 0) == _CLIENTS
                ),
                "each is answered, or sent once more",
            )
            assert _FEWEST <= burst.heard(gateway)[FRANKFURT] <= _CLIENTS / 4
        following.be("status 503")
        for gateway, answers in burst.wait().items():
            assert {(each.status, each.code, each.header("retry-after")) for each in answers} == {
                (503, None, "77")
            }
            heard = burst.heard(gateway)
            assert heard.keys() <= {PARIS, FRANKFURT, DUBLIN}
            assert sum(heard.values()) <= _CLIENTS * 1.75, "four times as many without a bound"


def test_nobody_listens_so_any_request_goes_to_the_next_place(ready: Fleet) -> None:
    """Nothing was sent; one place after the other, and then the gateway says so."""
    ready.models[PARIS].kill()
    for method in ("GET", "POST"):
        _check(ask_everywhere(ready, "repeated", method), 200, None, FRANKFURT)
    ready.models[FRANKFURT].kill()
    _check(ask_everywhere(ready, "repeated", "POST"), 200, None, DUBLIN)
    ready.models[DUBLIN].kill()
    _check(ask_everywhere(ready, "repeated", "POST"), 503, "UPSTREAM_UNAVAILABLE")
