"""More requests than a deployment takes at a time, at three Envoys: who is refused, and who notices nothing."""

from __future__ import annotations

import pytest

from tests.chaos.burst import Burst
from tests.chaos.everywhere import ask_everywhere, settle_at
from tests.chaos.fleet import DUBLIN, FRANKFURT, GATEWAYS, PARIS, Fleet
from tests.e2e.wire import Answer
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_MORE = 5


def _deploy(fleet: Fleet, model: str, limits: dict[str, int]) -> None:
    """In production in Paris, with more places behind; in development, under the same limits, in Dublin."""
    production = fleet.deployment(
        fleet.revision("v1", PARIS, FRANKFURT), limits=limits, routing={"order": [PARIS]}
    )
    development = fleet.deployment(fleet.revision("v1", DUBLIN), limits=limits)
    fleet.put(model, production, {**development, "environment": "development"})


def _is_refused(answer: Answer) -> None:
    assert (answer.status, answer.code) == (503, "OVERLOADED")
    assert answer.header("retry-after") == "1"
    assert answer.header("content-type") == "application/json; charset=utf-8"
    error = answer.json()["error"]
    assert (error["retryable"], error["origin"]) == (True, "gateway")
    assert error["request_id"] == answer.header("x-request-id")


def _is_calm(fleet: Fleet, model: str) -> None:
    """The model's other deployment is served, at every Envoy."""
    before = fleet.mark()
    for gateway in GATEWAYS:
        for method in ("GET", "POST") * 5:
            assert fleet.ask(gateway, f"{model}?environment=development", method=method).status == 200
    assert {place: len(each) for place, each in fleet.heard(model, before).items()} == {
        DUBLIN: 10 * len(GATEWAYS)
    }


def _hold(fleet: Fleet, burst: Burst, requests: int) -> None:
    """Have the model in Paris busy with so many of each Envoy. One by one: a request also waits while its connection
    comes about."""
    for at in range(requests):
        burst.send(1)
        for gateway in GATEWAYS:
            wait_until(
                lambda gateway=gateway, at=at: burst.heard(gateway) == {PARIS: at + 1}, "the model is busy"
            )


@pytest.mark.parametrize(
    ("model", "limits", "method", "working", "waiting"),
    [
        ("few-requests", {"requests": 3}, "GET", 3, 0),
        ("few-connections", {"connections": 2, "pendingRequests": 1}, "POST", 2, 1),
    ],
)
def test_each_envoy_lets_through_what_is_declared_and_refuses_the_rest(
    fleet: Fleet, model: str, limits: dict[str, int], method: str, working: int, waiting: int
) -> None:
    """Those that were let through are served when the model can; nobody is sent elsewhere for the limit."""
    _deploy(fleet, model, limits)
    settle_at(fleet, PARIS, model)
    fleet.models[PARIS].be("hold")
    with Burst(fleet, model, method) as burst:
        _hold(fleet, burst, working)
        burst.send(waiting + _MORE)
        for gateway in GATEWAYS:
            wait_until(lambda gateway=gateway: len(burst.answers(gateway)) >= _MORE, f"{gateway} refuses")
            for each in burst.answers(gateway):
                _is_refused(each)
        _is_calm(fleet, model)
        fleet.models[PARIS].be("well")
        for gateway, answers in burst.wait().items():
            assert [each.status for each in answers] == [503] * _MORE + [200] * (working + waiting)
            assert burst.heard(gateway) == {PARIS: working + waiting}
    for each in ask_everywhere(fleet, model, method):
        assert (each.answer.status, each.places()) == (200, [PARIS])


def test_limits_hold_without_a_control_plane_and_when_all_come_at_once(fleet: Fleet) -> None:
    _deploy(fleet, "few", {"requests": 3})
    settle_at(fleet, PARIS, "few")
    with fleet.alone(), Burst(fleet, "few") as burst:
        fleet.models[PARIS].be("hold")
        burst.send(3 + _MORE)
        for gateway in GATEWAYS:
            wait_until(lambda gateway=gateway: len(burst.answers(gateway)) >= _MORE, f"{gateway} refuses")
            wait_until(lambda gateway=gateway: burst.heard(gateway) == {PARIS: 3}, "the model is busy")
        fleet.models[PARIS].be("well")
        for answers in burst.wait().values():
            assert [each.code or str(each.status) for each in answers] == ["OVERLOADED"] * _MORE + ["200"] * 3
