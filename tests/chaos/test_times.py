"""How long each Envoy waits for a model, and what becomes of a request then: elsewhere, or an answer in time."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.chaos.everywhere import Met, ask_everywhere, do_everywhere, settle_at
from tests.chaos.fleet import DUBLIN, FORBIDDEN, FRANKFURT, PARIS, Fleet
from tests.e2e.backlog import FullBacklog
from tests.e2e.manifest import backend
from tests.e2e.wire import write_request

pytestmark = pytest.mark.envoy

_EARLY = 0.9
"""Of its time, that Envoy's clock may be ahead of the test's. How late an answer may be is bounded by the client's own
patience of 20 s: unless the deployment said less, Envoy would wait for 100 s."""


def _deploy(fleet: Fleet, name: str, **said: Any) -> None:
    """From every region first to Paris, then Frankfurt, then Dublin; and never to what is there beside."""
    fleet.deploy(
        name,
        *(PARIS, FRANKFURT, DUBLIN, FORBIDDEN),
        policies=("europe",),
        routing={"order": [PARIS, FRANKFURT, DUBLIN]},
        **said,
    )


def _is_given_up(met: list[Met], after: float, *places: str) -> None:
    """The gateway says so itself, and whoever had the request had it once."""
    for each in met:
        assert (each.answer.status, each.answer.code) == (504, "UPSTREAM_TIMEOUT"), each
        error = each.answer.json()["error"]
        assert (error["retryable"], error["origin"]) == (True, "gateway")
        assert each.took >= after * _EARLY
        assert each.went(*places)


def _is_served(met: list[Met], *places: str) -> None:
    """By the last of the places; the others had the request before."""
    for each in met:
        assert each.answer.status == 200, each
        assert each.answer.json()["model"] == places[-1]
        assert each.went(*places)


def test_who_hangs_is_left_for_the_next_place_by_what_may_be_sent_again(fleet: Fleet) -> None:
    """At every Envoy, also without a control plane; the rest is given up, and nobody else runs it."""
    _deploy(fleet, "hasty", retries={"perTryTimeout": "3s"})
    _deploy(fleet, "hasty-eager", retries={"perTryTimeout": "3s", "retryNonIdempotent": True})
    settle_at(fleet, PARIS, "hasty", "hasty-eager")
    with fleet.alone():
        fleet.models[PARIS].be("hang")
        _is_served(ask_everywhere(fleet, "hasty", "GET"), PARIS, FRANKFURT)
        _is_given_up(ask_everywhere(fleet, "hasty", "POST"), 3, PARIS)
        fleet.models[FRANKFURT].be("hang")
        _is_served(ask_everywhere(fleet, "hasty-eager", "POST"), PARIS, FRANKFURT, DUBLIN)


@pytest.mark.parametrize("bound", ["idle", "total"])
def test_what_is_silent_for_too_long_is_given_up_whatever_the_method(fleet: Fleet, bound: str) -> None:
    """Once, and not once for each place."""
    _deploy(fleet, f"bound-{bound}", timeouts={bound: "2s"})
    settle_at(fleet, PARIS, f"bound-{bound}")
    fleet.models[PARIS].be("hang")
    for method in ("GET", "POST"):
        _is_given_up(ask_everywhere(fleet, f"bound-{bound}", method), 2, PARIS)


def test_a_connection_that_does_not_come_about_costs_its_time_and_no_request(fleet: Fleet) -> None:
    """Not even a POST; where nothing is sent again, the answer is there after that time. The default is 2 s."""
    with FullBacklog() as full:
        for name, connect, attempts in (("far", "3s", 1), ("far-once", "500ms", 0)):
            fleet.deploy(
                name,
                *(backend(PARIS, full.address), FRANKFURT, FORBIDDEN),
                policies=("europe",),
                routing={"order": [PARIS]},
                timeouts={"connect": connect},
                retries={"attempts": attempts},
            )
        met = ask_everywhere(fleet, "far", "POST")
        _is_served(met, FRANKFURT)
        assert all(each.took >= 3 * _EARLY for each in met)
        for each in ask_everywhere(fleet, "far-once", "POST"):
            assert (each.answer.status, each.answer.code) == (503, "UPSTREAM_UNAVAILABLE"), each
            assert each.took >= 0.5 * _EARLY
            assert each.went()


def test_a_stream_is_cut_when_it_is_silent_and_only_then(fleet: Fleet) -> None:
    """One lasts longer than any of its bounds but sends bytes; the other begins, and says no more."""
    bounds: dict[str, Any] = {"timeouts": {"idle": "2s"}, "retries": {"perTryTimeout": "2s"}}
    for name, place in (("streaming", PARIS), ("stalling", FRANKFURT)):
        fleet.deploy(name, place, **bounds)
        settle_at(fleet, place, name)
    fleet.models[PARIS].be("stream")
    fleet.models[FRANKFURT].be("stall")
    for each in ask_everywhere(fleet, "streaming", "GET"):
        assert (each.answer.status, each.answer.body) == (200, b"some" + b"more" * 14)
        assert each.took > 2, "it was longer than it may be silent"
        assert each.went(PARIS)
    assert all(took >= 2 * _EARLY for took in do_everywhere(lambda gateway: _stall(fleet, gateway)).values())


def _stall(fleet: Fleet, gateway: str) -> float:
    """The seconds after which an answer is cut in the middle."""
    started = time.monotonic()
    with fleet.connect(gateway) as wire:
        wire.send(write_request("/acme/models/stalling", headers=fleet.headers))
        assert wire.head()[0] == 200
        assert wire.chunk() == b"some"
        with pytest.raises((EOFError, ConnectionError)):
            wire.chunk()
    return time.monotonic() - started
