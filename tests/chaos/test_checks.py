"""Places that go bad are left by all Envoys and used again when they are well: by checks of each kind, and without."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.burst import Burst
from tests.chaos.everywhere import ask_everywhere, do_everywhere, settle_at
from tests.chaos.fleet import FORBIDDEN, FRANKFURT, GATEWAYS, PARIS, Fleet
from tests.chaos.traffic import Traffic
from tests.e2e.grpc_server import run_grpc
from tests.e2e.manifest import Manifest, backend
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_BRISK = {"interval": "500ms", "timeout": "500ms", "unhealthyThreshold": 3}
_FAILURES = 3
"""In a row, after which a place is out for a while."""


def _deploy(fleet: Fleet, name: str, check: dict[str, Any], *places: str | Manifest) -> None:
    """From every region first in Paris. Nothing is sent again: what is left is left for the check alone."""
    fleet.deploy(
        name,
        *(places or (PARIS, FRANKFURT, FORBIDDEN)),
        policies=("europe",),
        routing={"order": [PARIS]},
        retries={"attempts": 0},
        check={**_BRISK, **check},
    )


def test_who_says_that_he_is_ill_is_left_before_anyone_notices_and_comes_back(fleet: Fleet) -> None:
    """By those who ask for it by HTTP, also without a control plane. A connection alone tells nothing of it."""
    _deploy(fleet, "by-http", {"type": "http", "path": "/health"})
    _deploy(fleet, "by-connection", {"type": "tcp"})
    settle_at(fleet, PARIS, "by-http", "by-connection")
    with fleet.alone(), Traffic(fleet, "by-http", "POST") as traffic:
        fleet.models[PARIS].be("ill")
        settle_at(fleet, FRANKFURT, "by-http")
        traffic.advance(1)
        before = fleet.mark()
        traffic.advance(5)
        assert fleet.heard("by-http", before).keys() == {FRANKFURT}
        assert all(each.went(PARIS) for each in ask_everywhere(fleet, "by-connection"))
        fleet.models[PARIS].be("well")
        settle_at(fleet, PARIS, "by-http")
    assert traffic.met.keys() == {"200"}


def test_who_takes_no_connection_is_left_and_comes_back(fleet: Fleet) -> None:
    _deploy(fleet, "by-connection", {"type": "tcp"})
    settle_at(fleet, PARIS, "by-connection")
    fleet.models[PARIS].kill()
    settle_at(fleet, FRANKFURT, "by-connection")
    with Traffic(fleet, "by-connection", "POST") as traffic:
        traffic.advance(5)
        fleet.models[PARIS].start()
        settle_at(fleet, PARIS, "by-connection")
        traffic.advance(5)
    assert traffic.met.keys() == {"200"}


def test_a_server_that_says_by_grpc_that_it_does_not_serve_is_left_and_comes_back(fleet: Fleet) -> None:
    """Asked by every Envoy about its service, and left before anyone notices."""
    with run_grpc("near") as near, run_grpc("far") as far:
        places = (backend(PARIS, near.address), backend(FRANKFURT, far.address))
        _deploy(fleet, "by-grpc", {"type": "grpc", "service": "inference"}, *places)
        _wait_for_server(fleet, "near")
        with Traffic(fleet, "by-grpc", "POST") as traffic:
            for serving, name in ((False, "far"), (True, "near")):
                near.serving = serving
                _wait_for_server(fleet, name)
        assert traffic.met.keys() == {"200"}
        assert b"inference" in near.services


def _wait_for_server(fleet: Fleet, name: str) -> None:
    """Until that server has the requests of every Envoy."""
    for gateway in GATEWAYS:
        wait_until(
            lambda gateway=gateway: fleet.ask(gateway, "by-grpc").header("x-name") == name,
            f"{gateway} is served by {name}",
        )


def test_without_a_check_who_takes_no_connection_is_left_for_a_while_and_comes_back(fleet: Fleet) -> None:
    """After some requests that were sent elsewhere; then they go there at once. Who gets a connection is not left,
    whether it says 500 or resets: one after the other, each connection begins the count anew."""
    fleet.deploy(
        "unchecked",
        *(PARIS, FRANKFURT, FORBIDDEN),
        policies=("europe",),
        routing={"order": [PARIS]},
        servedBy=True,
    )
    settle_at(fleet, PARIS, "unchecked")
    for mood, status, places in (("status 500", 500, [PARIS]), ("reset", 200, [PARIS, FRANKFURT])):
        fleet.models[PARIS].be(mood)
        for _ in range(2 * _FAILURES):
            for each in ask_everywhere(fleet, "unchecked"):
                assert (each.answer.status, each.places()) == (status, places)
    fleet.models[PARIS].be("well")
    settle_at(fleet, PARIS, "unchecked")
    fleet.models[PARIS].kill()
    detours = do_everywhere(lambda gateway: _count_detours(fleet, gateway))
    assert all(each >= _FAILURES for each in detours.values()), detours
    fleet.models[PARIS].start()
    settle_at(fleet, PARIS, "unchecked")


def test_requests_that_are_reset_at_once_take_a_place_out_for_a_while(fleet: Fleet) -> None:
    """Also without a check: none of them was sent after another one had failed."""
    fleet.deploy("at-once", PARIS, FRANKFURT, FORBIDDEN, policies=("europe",), routing={"order": [PARIS]})
    settle_at(fleet, PARIS, "at-once")
    fleet.models[PARIS].be("hold")
    with Burst(fleet, "at-once", "POST") as burst:
        burst.send(_FAILURES)
        for gateway in GATEWAYS:
            wait_until(lambda gateway=gateway: burst.heard(gateway) == {PARIS: _FAILURES}, "Paris has them")
        fleet.models[PARIS].be("reset")
        assert {each.code for answers in burst.wait().values() for each in answers} == {"UPSTREAM_RESET"}
    settle_at(fleet, FRANKFURT, "at-once")
    fleet.models[PARIS].be("well")
    settle_at(fleet, PARIS, "at-once")


def _count_detours(fleet: Fleet, gateway: str) -> int:
    """How many requests are sent to Paris in vain, and then to Frankfurt, until one goes there at once."""
    detours = 0
    with fleet.connect(gateway) as wire:

        def goes_straight() -> bool:
            nonlocal detours
            answer = wire.ask("/acme/models/unchecked", "POST", fleet.headers, b"{}")
            assert answer.json()["model"] == FRANKFURT
            detours += 1
            return str(answer.header("x-fairlead-served-by")).endswith("attempts=1")

        wait_until(goes_straight, f"{gateway} has left Paris")
    return detours - 1
