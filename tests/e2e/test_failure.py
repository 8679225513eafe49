"""When models fail: their own errors untouched, and the gateway's where there is no answer of theirs."""

from __future__ import annotations

import socket
import time
from contextlib import suppress

import pytest

from tests.e2e.http2 import Wire2
from tests.e2e.stack import Stack
from tests.e2e.wire import Answer, Wire, ask, bearer, write_request
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy


@pytest.mark.parametrize(
    "status", [200, 201, 204, 302, 304, 400, 401, 403, 404, 409, 418, 422, 429, 500, 501, 502, 503, 504, 529]
)
def test_a_models_own_answer_passes_untouched(stack: Stack, port: int, status: int) -> None:
    """Tried once, with its own words and headers; and it cannot pretend to be the gateway's."""
    with stack.upstreams.watch() as seen:
        answer = ask(port, f"/acme/models/llama/status/{status}", "POST", bearer(stack.acme), b"{}")
    assert len(seen) == 1
    assert answer.status == status
    if status not in (204, 304):
        assert answer.body == b'{"error":{"code":"OWN","origin":"model"}}'
    assert answer.header("content-type") == "application/problem+json"
    assert (answer.header("x-model-says"), answer.header("retry-after")) == ("no", "77")
    assert answer.header("x-fairlead-error") is None
    assert answer.header("www-authenticate") is None
    assert answer.header("x-request-id") is not None


def _unavailable(answer: Answer) -> None:
    assert (answer.status, answer.code) == (503, "UPSTREAM_UNAVAILABLE")
    assert answer.header("retry-after") == "1"
    assert answer.header("content-type") == "application/json; charset=utf-8"
    error = answer.json()["error"]
    assert (error["status"], error["retryable"], error["origin"]) == (503, True, "gateway")
    assert error["request_id"] == answer.header("x-request-id")


@pytest.mark.parametrize(
    "path",
    [
        "/acme/models/resident",
        "/acme/models/resident-by-environment?environment=sovereign",
        "/acme/models/weightless",
    ],
)
def test_what_policy_forbids_stays_unused_when_all_else_is_down(stack: Stack, port: int, path: str) -> None:
    """Again and again, whatever the outlier detection makes of the allowed place meanwhile."""
    with stack.upstreams.watch() as seen, Wire(port) as wire:
        for method in ["GET", "POST"] * 10:
            _unavailable(wire.ask(path, method, bearer(stack.acme)))
    assert seen == []
    assert stack.upstreams["forbidden"].connections == 0


def test_the_next_region_serves_when_the_nearest_is_down(stack: Stack, port: int) -> None:
    with stack.upstreams.watch() as seen, Wire(port) as wire:
        for at in range(20):
            answer = wire.ask(f"/acme/models/spilling/{at}", "POST", bearer(stack.acme), b"body")
            assert answer.json()["length"] == 4
    assert [each.target for each in seen] == [f"/{at}" for at in range(20)]
    assert {each.header("x-fairlead-region") for each in seen} == {"us-east-1"}


def test_a_model_that_resets_is_not_asked_twice(stack: Stack, port: int) -> None:
    """It may have done the work already."""
    with stack.upstreams.watch() as seen:
        answer = ask(port, "/acme/models/moody/reset", "POST", bearer(stack.acme), b"{}")
    assert (answer.status, answer.code) == (502, "UPSTREAM_RESET")
    assert answer.json()["error"]["retryable"] is False
    assert answer.header("retry-after") is None
    assert len(seen) == 1
    assert ask(port, "/acme/models/moody/", "POST", bearer(stack.acme)).status == 200


def test_a_model_that_resets_in_the_middle_ends_the_answer_in_the_middle(stack: Stack, port: int) -> None:
    """Half an answer must not look like a whole one."""
    model = stack.upstreams["moody"]
    with Wire(port) as wire:
        wire.send(write_request("/acme/models/moody/stream", headers=bearer(stack.acme)))
        assert wire.head()[0] == 200
        model.feed(b"data: 1\n\n")
        assert wire.chunk() == b"data: 1\n\n"
        model.close()
        with pytest.raises((EOFError, ConnectionError, ValueError)):
            wire.chunk()
    model.open()


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_model_that_says_nothing_is_given_up_in_time(stack: Stack, method: str) -> None:
    started = time.monotonic()
    with stack.upstreams.watch() as seen:
        answer = ask(stack.ports.brisk, "/acme/models/silent/silence", method, bearer(stack.acme))
    assert time.monotonic() - started < 10
    assert (answer.status, answer.code) == (504, "UPSTREAM_TIMEOUT")
    error = answer.json()["error"]
    assert (error["retryable"], error["origin"]) == (True, "gateway")
    assert error["request_id"] == answer.header("x-request-id")
    assert len(seen) == 1


def test_a_model_that_falls_silent_in_the_middle_is_given_up_too(stack: Stack) -> None:
    """By the clock for silence (`SI`), not by the one for the whole."""
    model = stack.upstreams["silent"]
    with Wire(stack.ports.brisk) as wire:
        wire.send(write_request("/acme/models/silent/stream", headers=bearer(stack.acme)))
        status, _, headers = wire.head()
        assert status == 200
        model.feed(b"data: 1\n\n")
        assert wire.chunk() == b"data: 1\n\n"
        with pytest.raises((EOFError, ConnectionError, ValueError)):
            wire.chunk()
        request_id = dict(headers)["x-request-id"]
    assert "SI" in stack.line("brisk", request_id)["flags"]


def test_no_request_lasts_for_ever(stack: Stack) -> None:
    """Not even one that is never silent: the gateway's total is five seconds."""
    model = stack.upstreams["talkative"]
    started = time.monotonic()
    with Wire(stack.ports.brisk) as wire:
        wire.send(write_request("/acme/models/talkative/stream", headers=bearer(stack.acme)))
        assert wire.head()[0] == 200
        with suppress(EOFError, ConnectionError, ValueError):
            while time.monotonic() - started < 20:
                model.feed(b"data: 1\n\n")
                assert wire.chunk() == b"data: 1\n\n"
    assert 4 < time.monotonic() - started < 15


@pytest.mark.parametrize("sent", [b"GET /acme/models/llama HTTP/1.1\r\nHost: x\r\n", b""])
def test_a_client_that_takes_its_time_is_told_so(stack: Stack, sent: bytes) -> None:
    """With the headers, or with the body."""
    part = write_request("/acme/models/llama", "PUT", [*bearer(stack.acme), ("Content-Length", "9")], b"part")
    with Wire(stack.ports.brisk) as wire:
        wire.send(sent or part)
        answer = wire.read()
    assert (answer.status, answer.code) == (408, "REQUEST_TIMEOUT")
    assert answer.json()["error"]["request_id"] == answer.header("x-request-id")


def test_a_client_that_goes_away_frees_the_model(stack: Stack, port: int) -> None:
    """The model's connection is closed when nobody waits for its answer any more."""
    model = stack.upstreams["moody"]
    with Wire(port) as wire, stack.upstreams.watch():
        wire.send(write_request("/acme/models/moody/stream", headers=bearer(stack.acme)))
        assert wire.head()[0] == 200
        wait_until(lambda: model.busy == 1, "the model answers this one alone")
        wire.socket.shutdown(socket.SHUT_RDWR)
    wait_until(lambda: not model.busy, "the model is free again")


def test_failures_look_the_same_over_http2(stack: Stack, port: int) -> None:
    with Wire2(port) as wire:
        _unavailable(wire.ask("/acme/models/resident", headers=bearer(stack.acme)))
        own = wire.ask("/acme/models/llama/status/503", headers=bearer(stack.acme))
        assert (own.status, own.code, own.header("retry-after")) == (503, None, "77")
