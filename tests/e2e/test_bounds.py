"""How long a deployment is waited for, and how much is sent to it at once; with models there and models fetched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.e2e.backlog import FullBacklog
from tests.e2e.cold import Cold, run_cold
from tests.e2e.manifest import backend, manifest, revision, write
from tests.e2e.wire import Answer, Wire, bearer, write_request
from tests.e2e.world import FRANKFURT, PARIS
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

PATIENT = 8.0
"""Seconds within which what is bounded by 1 or 2 s is over, on a busy machine too. What else bounds it is 10 s or
more."""


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cold]:
    with run_cold(tmp_path_factory.mktemp("bounds")) as running:
        yield running


@pytest.fixture(scope="module")
def brisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cold]:
    """A gateway that waits less than its deployments say."""
    timeouts = {"idle": "1s", "total": "2s", "coldStart": "2s"}
    with run_cold(tmp_path_factory.mktemp("brisk"), timeouts=timeouts) as running:
        yield running


def _write(cold: Cold, name: str, *addresses: str, **said: Any) -> None:
    places = zip((PARIS, FRANKFURT), addresses, strict=False)
    backends = [backend(place, address) for place, address in places]
    deployment = {"environment": "production", "revisions": [revision("v1", *backends)], **said}
    model = manifest("Model", name, "acme", deployments=[deployment])
    cold.save(lambda: write(cold.folder, f"acme/{name}.yaml", [model]))


def _timed(cold: Cold, path: str, method: str) -> tuple[Answer, float, int]:
    started = time.monotonic()
    with cold.upstreams.watch() as seen:
        answer = cold.ask(path, method, b"{}" if method == "POST" else b"")
    return answer, time.monotonic() - started, len(seen)


def _is_timeout(answer: Answer) -> bool:
    assert (answer.status, answer.code) == (504, "UPSTREAM_TIMEOUT")
    assert (answer.json()["error"]["retryable"], answer.json()["error"]["origin"]) == (True, "gateway")
    return True


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_silent_model_is_given_up_after_its_own_idle_time(cold: Cold, method: str) -> None:
    """And once, not once for each try. Only a first request without a body, for which the route is fetched, goes to
    another place instead, once for each try."""
    name = f"idle-{method.lower()}"
    one, two = (cold.upstreams[label].address for label in ("one", "two"))
    _write(cold, name, one, two, timeouts={"idle": "1s"}, retries={"attempts": 1})
    for most in (2 if method == "GET" else 1, 1, 1):
        answer, took, tries = _timed(cold, f"{name}/silence", method)
        assert _is_timeout(answer)
        assert 0.9 < took < PATIENT
        assert tries <= most


def test_a_model_that_falls_silent_in_the_middle_is_given_up_too(cold: Cold) -> None:
    # Long enough for a test that is held up between the head and the first byte.
    _write(cold, "pausing", cold.upstreams["one"].address, timeouts={"idle": "2s"})
    for _ in range(2):
        started = time.monotonic()
        with Wire(cold.port) as wire:
            wire.send(write_request("/acme/models/pausing/stream", headers=bearer(cold.token)))
            assert wire.head()[0] == 200
            cold.upstreams["one"].feed(b"data: 1\n\n")
            assert wire.chunk() == b"data: 1\n\n"
            with pytest.raises((EOFError, ConnectionError, ValueError)):
                wire.chunk()
        assert time.monotonic() - started < PATIENT


def test_a_deployment_may_take_longer_than_the_gateway_says(brisk: Cold) -> None:
    """In the first request, which began under the gateway's own bounds, and in the next."""
    _write(brisk, "patient", brisk.upstreams["one"].address, timeouts={"idle": "30s", "total": "30s"})
    for method, body in (("POST", b"{}"), ("GET", b"")):
        with Wire(brisk.port) as wire:
            wire.send(write_request("/acme/models/patient/silence", method, bearer(brisk.token), body))
            wire.socket.settimeout(3)
            with pytest.raises(TimeoutError):
                wire.head()


def test_a_first_request_without_a_body_waits_no_longer_than_the_gateway_says(brisk: Cold) -> None:
    """Envoy winds the clock up again with each byte, and when the route is there no byte comes any more."""
    _write(brisk, "impatient", brisk.upstreams["one"].address, timeouts={"idle": "30s", "total": "30s"})
    answer, took, tries = _timed(brisk, "impatient/silence", "GET")
    assert _is_timeout(answer)
    assert (took < PATIENT, tries) == (True, 1)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_is_given_up_after_the_deployments_total(cold: Cold, method: str) -> None:
    name = f"total-{method.lower()}"
    _write(cold, name, cold.upstreams["one"].address, timeouts={"total": "1s"})
    for _ in range(2):
        answer, took, tries = _timed(cold, f"{name}/silence", method)
        assert _is_timeout(answer)
        assert (0.9 < took < PATIENT, tries) == (True, 1)


def test_a_place_to_which_no_connection_comes_about_is_left_in_time(cold: Cold) -> None:
    with FullBacklog() as full:
        _write(cold, "far", full.address, cold.upstreams["two"].address, timeouts={"connect": "200ms"})
        times = []
        for _ in range(2):  # Envoy has it left out only after three
            answer, took, _ = _timed(cold, "far", "POST")
            assert (answer.status, answer.json()["upstream"]) == (200, "two")
            times.append(took)
        assert 0.2 <= min(times) < 1.9, "the default is 2 s"


@pytest.mark.parametrize("bound", ["requests", "connections"])
def test_beyond_its_limit_a_model_takes_no_more(cold: Cold, bound: str) -> None:
    """And says so in another way than one that cannot be reached."""
    limits = {"requests": {"requests": 2}, "connections": {"connections": 2, "pendingRequests": 1}}[bound]
    _write(cold, f"few-{bound}", cold.upstreams["one"].address, limits=limits)
    with ExitStack() as held:
        wait_until(lambda: not cold.upstreams["one"].busy, "nothing is left of earlier tests")
        for at in range(2):
            wire = held.enter_context(Wire(cold.port))
            wire.send(write_request(f"/acme/models/few-{bound}/silence", headers=bearer(cold.token)))
            wait_until(lambda at=at: cold.upstreams["one"].busy == at + 1, "the model is busy")
        if bound == "connections":
            waiting = held.enter_context(Wire(cold.port))
            waiting.send(write_request(f"/acme/models/few-{bound}", headers=bearer(cold.token)))
            wait_until(lambda: _in_progress(cold) == 3, "a request waits for a connection")
        for method in ("GET", "POST"):
            answer, _, tries = _timed(cold, f"few-{bound}", method)
            assert (answer.status, answer.code, tries) == (503, "OVERLOADED", 0)
            assert answer.header("retry-after") == "1"
            assert answer.json()["error"]["retryable"] is True
    wait_until(lambda: cold.ask(f"few-{bound}").status == 200, "room again")


def _in_progress(cold: Cold) -> int:
    [active] = [
        count
        for name, count in cold.envoy.stats("downstream_rq_active").items()
        if name.startswith("http.run.")
    ]
    return active
