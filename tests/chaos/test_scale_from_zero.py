"""A model without a backend, at three Envoys: who waits, who is told, and what becomes of them on a bad day.

Tokyo's Envoy is sent the state of the world and cannot let requests wait: its callers are told when to come back.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chaos.callers import Callers, count_runs
from tests.chaos.fleet import DUBLIN, FRANKFURT, GATEWAYS, PARIS, REGIONS, VIRGINIA, Fleet
from tests.e2e.hook import Hook
from tests.e2e.wire import Answer, write_request
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_PATIENT = ("paris", "virginia")
"""The gateways whose Envoys let requests wait."""
_SHORT = 2
"""Seconds that a request may wait where that is to end."""
_COME_BACK = (503, "SCALING_FROM_ZERO", "7")
_NOBODY = {"UPSTREAM_UNAVAILABLE", "SCALING_FROM_ZERO"}
"""What a caller is told when the only backend is registered and cannot be reached: the second once Envoy knows that."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as made:
        yield made


def _put(
    fleet: Fleet, hook: Hook, model: str, *places: str, ttl: str = "600s", hold: str = "150s", **said: Any
) -> None:
    """Declare a model whose backends register themselves; those in the places need not.

    Unless said otherwise their leases outlive the test: what comes of their end is no part of it.
    """
    wake = {"url": hook.url, "every": "60s"}
    revision = fleet.revision("v1", *places, registration={"ttl": ttl})
    scaling = {"wake": wake, "hold": hold, "retryAfter": "7s"}
    fleet.put(model, fleet.deployment(revision, scaleFromZero=scaling, **said))


def _slot(model: str) -> str:
    return f"acme/models/{model}/production/v1"


def _register(fleet: Fleet, model: str, place: str) -> int:
    """Register the model's process of a place; the status is the answer's."""
    body = {"location": place, "address": fleet.models[place].address}
    return fleet.registrar.ask(_slot(model), **body).status_code


def _wake(fleet: Fleet, model: str) -> dict[str, Any] | None:
    """What the control plane tells of the model while it has no backend."""
    wakes = fleet.serving.ask("/wakes")["wakes"]
    return next((each for each in wakes if each["path"] == f"acme/models/{model}"), None)


def _waits(fleet: Fleet, model: str) -> bool:
    """Whether the control plane knows that somebody waits."""
    wake = _wake(fleet, model)
    return wake is not None and wake["waiting"] is not None


def _age(fleet: Fleet, model: str) -> float:
    """For how many seconds the hook has been told."""
    wake = _wake(fleet, model)
    return float((wake and wake["told"]) or 0)


def _held(fleet: Fleet, gateway: str) -> int:
    """How many requests the Envoy has, and has not answered."""
    return fleet.envoys[gateway].stats("downstream_rq_active")["http.run.downstream_rq_active"]


def _wait_for_all(fleet: Fleet, callers: Callers) -> None:
    """Until all are at their Envoys, which let them wait; those at the third are answered."""
    for gateway in _PATIENT:
        wait_until(lambda gateway=gateway: _held(fleet, gateway) == callers.waiting(gateway) > 0, "they wait")
    assert {_describe(each) for each in callers.answers("tokyo")} == {_COME_BACK}


def _describe(answer: Answer) -> tuple[int, str | None, str | None]:
    return answer.status, answer.code, answer.header("retry-after")


def _serve(fleet: Fleet, model: str) -> None:
    """See that every Envoy serves the model; who has to come back does."""
    for gateway in GATEWAYS:
        wait_until(lambda gateway=gateway: fleet.ask(gateway, model).status == 200, f"{gateway} serves it")


def test_all_envoys_wake_once_and_each_request_is_served_once(fleet: Fleet, hook: Hook) -> None:
    _put(fleet, hook, "asleep")
    before = fleet.mark()
    with Callers(fleet, "asleep") as callers:
        callers.ask()
        _wait_for_all(fleet, callers)
        # Each Envoy has said more than once by then that requests wait.
        wait_until(lambda: _age(fleet, "asleep") >= 1.5, "the hook was told a while ago")
        assert [callers.waiting(gateway) for gateway in _PATIENT] == [4, 4]
        assert fleet.heard("asleep", before) == {}
        assert _register(fleet, "asleep", PARIS) == 200
        assert {each.status for each in callers.answers(*_PATIENT)} == {200}
    heard = fleet.heard("asleep", before)
    assert heard.keys() == {PARIS}
    assert count_runs(heard) == dict.fromkeys(callers.names(*_PATIENT), 1)
    _serve(fleet, "asleep")
    [told] = hook.told
    assert told.pop("region") in REGIONS.values()
    assert told == {
        "path": "acme/models/asleep",
        "environment": "production",
        "revision": "v1",
        "reason": "no-backend",
    }


def test_who_has_waited_long_enough_is_told_to_come_back_and_is_served_then(fleet: Fleet, hook: Hook) -> None:
    _put(fleet, hook, "late", hold=f"{_SHORT}s")
    before = fleet.mark()
    for gateway in GATEWAYS:
        started = time.monotonic()
        with Callers(fleet, "late") as callers:
            callers.ask([gateway])
        waited = time.monotonic() - started
        assert gateway not in _PATIENT or waited > 0.9 * _SHORT
        answers = callers.answers(gateway)
        assert {_describe(each) for each in answers} == {_COME_BACK}
        assert all(each.json()["error"]["retryable"] for each in answers)
    assert fleet.heard("late", before) == {}
    _put(fleet, hook, "late", FRANKFURT)
    _serve(fleet, "late")
    assert len(hook.told) == 1


def test_who_left_is_served_nowhere_and_nobody_waits_for_him(fleet: Fleet, hook: Hook) -> None:
    _put(fleet, hook, "left")
    before = fleet.mark()
    for gateway in _PATIENT:
        with fleet.connect(gateway) as wire:
            wire.send(write_request("/acme/models/left/gone", "POST", fleet.headers, b"{}"))
            wait_until(lambda gateway=gateway: _held(fleet, gateway) == 1, "he waits")
            wait_until(lambda: _waits(fleet, "left"), "the control plane knows")
        wait_until(lambda gateway=gateway: _held(fleet, gateway) == 0, "the Envoy forgets him")
        wait_until(lambda: not _waits(fleet, "left"), "the control plane forgets him, too")
    assert _register(fleet, "left", DUBLIN) == 200
    _serve(fleet, "left")
    assert count_runs(fleet.heard("left", before)).keys() == {"GET /"}
    assert len(hook.told) == 1


def test_one_that_dies_as_soon_as_it_is_awake_is_woken_again(fleet: Fleet, hook: Hook) -> None:
    """With the requests in hand that it was woken for; its sidecar lives a little longer."""
    _put(fleet, hook, "frail", ttl="5s")
    before = fleet.mark()
    fleet.models[PARIS].be("hang")
    with Callers(fleet, "frail") as callers:
        callers.ask()
        _wait_for_all(fleet, callers)
        with fleet.registrar.sidecar(_slot("frail"), PARIS, fleet.models[PARIS].address):
            names = callers.names(*_PATIENT)
            wait_until(
                lambda: count_runs(fleet.heard("frail", before)).keys() == names, "it has them in hand"
            )
            fleet.models[PARIS].kill()
            assert {each.code for each in callers.answers(*_PATIENT)} <= {"UPSTREAM_RESET", *_NOBODY}
            for gateway in GATEWAYS:
                answer = fleet.ask(gateway, "frail")
                assert answer.code in _NOBODY
                assert answer.header("retry-after") is not None
    assert count_runs(fleet.heard("frail", before)) == dict.fromkeys(callers.names(*_PATIENT), 1)
    wait_until(lambda: _wake(fleet, "frail"), "its lease is over")
    fleet.settle()
    assert len(hook.told) == 1
    with Callers(fleet, "frail") as callers:
        callers.ask()
        _wait_for_all(fleet, callers)
        wait_until(lambda: len(hook.told) == 2, "the hook is told again")
        _put(fleet, hook, "frail", FRANKFURT, ttl="5s")
        assert {each.status for each in callers.answers(*_PATIENT)} == {200}
    _serve(fleet, "frail")
    assert len(hook.told) == 2


def test_what_policy_forbids_ends_no_wait(fleet: Fleet, hook: Hook) -> None:
    """A backend that served a moment ago is none any more, and may not register again."""
    _put(fleet, hook, "bound")
    assert _register(fleet, "bound", VIRGINIA) == 200
    _serve(fleet, "bound")
    _put(fleet, hook, "bound", policies=["europe"])
    before = fleet.mark()
    with Callers(fleet, "bound") as callers:
        callers.ask()
        _wait_for_all(fleet, callers)
        wait_until(lambda: hook.told, "the hook is told")
        assert _register(fleet, "bound", VIRGINIA) == 403
        assert [callers.waiting(gateway) for gateway in _PATIENT] == [4, 4]
        assert _register(fleet, "bound", DUBLIN) == 200
        assert {each.status for each in callers.answers(*_PATIENT)} == {200}
    _serve(fleet, "bound")
    assert fleet.heard("bound", before).keys() == {DUBLIN}


def test_requests_wait_on_while_the_control_plane_is_away(fleet: Fleet, hook: Hook) -> None:
    """It tells the hook once more, for those that waited already and those that came meanwhile."""
    _put(fleet, hook, "alone")
    before = fleet.mark()
    with Callers(fleet, "alone") as callers:
        callers.ask()
        _wait_for_all(fleet, callers)
        wait_until(lambda: hook.told, "the hook is told")
        fleet.serving.kill()
        callers.ask()
        _wait_for_all(fleet, callers)
        assert [callers.waiting(gateway) for gateway in _PATIENT] == [8, 8]
        known = len(fleet.serving.log)
        fleet.serving.start()
        wait_until(lambda: _telling(fleet, known) >= {*_PATIENT}, "both tell of them anew")
        wait_until(lambda: _age(fleet, "alone") >= 1.5, "the hook was told a while ago")
        wait_until(lambda: _register(fleet, "alone", FRANKFURT) == 200, "registrations are taken")
        assert {each.status for each in callers.answers(*_PATIENT)} == {200}
    heard = fleet.heard("alone", before)
    assert heard.keys() == {FRANKFURT}
    assert count_runs(heard) == dict.fromkeys(callers.names(*_PATIENT), 1)
    fleet.settle()
    _serve(fleet, "alone")
    assert len(hook.told) == 2


def _telling(fleet: Fleet, since: int) -> set[str]:
    """The nodes that began to tell of requests that wait, since a place of the log."""
    lines = fleet.serving.events(since)
    return {each["node"] for each in lines if each["event"] == "node tells of requests that wait"}
