"""What is sent again, and what is not: by method, by what went wrong, and by what the deployment says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cold import Cold, run_cold
from tests.e2e.manifest import backend, manifest, revision, write
from tests.e2e.upstream import Seen
from tests.e2e.wire import Answer
from tests.e2e.world import FRANKFURT, PARIS, VIRGINIA

pytestmark = pytest.mark.envoy

NEAR, NEXT, FAR = "one", "two", "three"
PLACES = {NEAR: PARIS, NEXT: FRANKFURT, FAR: VIRGINIA}
IDEMPOTENT = ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"]
OTHERS = ["POST", "PATCH", "PROPFIND", "REPORT"]


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cold]:
    """Models of three places: one that says nothing, and one for each thing that can be said."""
    with run_cold(tmp_path_factory.mktemp("retries")) as running:
        backends = [backend(place, running.upstreams[label].address) for label, place in PLACES.items()]
        said: dict[str, dict[str, Any]] = {
            "usual": {},
            "eager": {"retryNonIdempotent": True},
            "elsewhere": {"retryOn429": True},
            "never": {"attempts": 0},
            "once": {"attempts": 1},
            "hasty": {"perTryTimeout": "2s"},
        }
        prefixed = [
            {**each, "pathPrefix": f"/only/{label}"} for label, each in zip(PLACES, backends, strict=True)
        ]
        models = [
            manifest(
                "Model",
                name,
                "acme",
                deployments=[
                    {
                        "environment": "production",
                        "revisions": [revision("v1", *backends)],
                        **({"retries": retries} if retries else {}),
                    }
                ],
            )
            for name, retries in said.items()
        ]
        own = {"environment": "production", "revisions": [revision("v1", *prefixed)]}
        models.append(manifest("Model", "prefixed", "acme", deployments=[own]))
        running.save(lambda: write(running.folder, "acme/models.yaml", models))
        yield running


def _ask(cold: Cold, path: str, method: str, headers: Any = ()) -> tuple[Answer, list[Seen]]:
    body = b"{}" if method in ("POST", "PATCH", "PUT") else b""
    with cold.upstreams.watch() as seen:
        answer = cold.ask(path, method, body, headers)
    return answer, seen


def _asked(seen: list[Seen]) -> list[str]:
    """Who was asked how often, the nearest first."""
    return [each.upstream for each in seen]


@pytest.mark.parametrize("method", IDEMPOTENT)
@pytest.mark.parametrize("fault", ["status/503", "reset"])
def test_an_idempotent_request_goes_to_the_next_place(cold: Cold, method: str, fault: str) -> None:
    answer, seen = _ask(cold, f"usual/only/{NEAR}/{fault}", method)
    assert (answer.status, _asked(seen)) == (200, [NEAR, NEXT])
    assert not [name for each in seen for name, _ in each.headers if name.startswith("x-envoy-retr")]


@pytest.mark.parametrize("method", OTHERS)
def test_any_other_request_is_not_sent_again(cold: Cold, method: str) -> None:
    answer, seen = _ask(cold, f"usual/only/{NEAR}/status/503", method)
    assert (answer.status, answer.code, _asked(seen)) == (503, None, [NEAR])
    answer, seen = _ask(cold, f"usual/only/{NEAR}/reset", method)
    assert (answer.status, answer.code, _asked(seen)) == (502, "UPSTREAM_RESET", [NEAR])


def test_a_client_cannot_have_its_request_sent_again(cold: Cold) -> None:
    lies = [
        ("x-envoy-retry-on", "5xx,reset,retriable-4xx"),
        ("x-envoy-max-retries", "9"),
        ("x-envoy-retriable-status-codes", "404"),
        ("x-envoy-upstream-rq-per-try-timeout-ms", "1"),
    ]
    for path, method in (("status/503", "POST"), ("reset", "POST"), ("status/404", "GET")):
        _, seen = _ask(cold, f"usual/only/{NEAR}/{path}", method, lies)
        assert _asked(seen) == [NEAR]


@pytest.mark.parametrize("status", [400, 401, 404, 408, 409, 429, 500, 501, 502, 504, 529])
def test_no_other_answer_is_a_reason(cold: Cold, status: int) -> None:
    for model in ("usual", "eager"):
        answer, seen = _ask(cold, f"{model}/only/{NEAR}/status/{status}", "GET")
        assert (answer.status, answer.header("x-model-says"), _asked(seen)) == (status, "no", [NEAR])


def test_when_all_are_unavailable_the_last_one_says_so_itself(cold: Cold) -> None:
    answer, seen = _ask(cold, "usual/status/503", "GET")
    assert (answer.status, answer.code, answer.header("retry-after")) == (503, None, "77")
    assert answer.body == b'{"error":{"code":"OWN","origin":"model"}}'
    # Three places, then the nearest once more.
    assert _asked(seen) == [NEAR, NEAR, NEXT, FAR]


@pytest.mark.parametrize("fault", ["status/503", "reset"])
def test_a_deployment_may_say_that_any_request_can_be_repeated(cold: Cold, fault: str) -> None:
    answer, seen = _ask(cold, f"eager/only/{NEAR}/{fault}", "POST")
    assert (answer.status, _asked(seen)) == (200, [NEAR, NEXT])
    assert [each.length for each in seen] == [2, 2]


def test_never_is_never(cold: Cold) -> None:
    for fault in ("status/503", "reset"):
        _, seen = _ask(cold, f"never/only/{NEAR}/{fault}", "GET")
        assert _asked(seen) == [NEAR]


def test_no_more_often_than_it_is_said(cold: Cold) -> None:
    answer, seen = _ask(cold, "once/status/503", "GET")
    assert (answer.status, _asked(seen)) == (503, [NEAR, NEXT])


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_too_many_requests_go_elsewhere_at_once(cold: Cold, method: str) -> None:
    started = time.monotonic()
    answer, seen = _ask(cold, f"elsewhere/only/{NEAR}/status/429", method)
    assert (answer.status, _asked(seen)) == (200, [NEAR, NEXT])
    assert time.monotonic() - started < 10, "`Retry-After: 77` was waited for"


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_when_all_have_too_many_each_is_asked_once_and_the_last_says_when(cold: Cold, method: str) -> None:
    answer, seen = _ask(cold, "elsewhere/status/429", method)
    assert (answer.status, answer.code, answer.header("retry-after")) == (429, None, "77")
    assert _asked(seen) == [NEAR, NEXT, FAR]


def test_who_goes_elsewhere_with_429_does_with_503_as_all_do(cold: Cold) -> None:
    assert _asked(_ask(cold, f"elsewhere/only/{NEAR}/status/503", "GET")[1]) == [NEAR, NEXT]
    assert _asked(_ask(cold, f"elsewhere/only/{NEAR}/status/503", "POST")[1]) == [NEAR]


def test_who_is_silent_is_left_in_time_if_the_request_may_be_repeated(cold: Cold) -> None:
    answer, seen = _ask(cold, f"hasty/only/{NEAR}/silence", "GET")
    assert (answer.status, _asked(seen)) == (200, [NEAR, NEXT])
    answer, seen = _ask(cold, f"hasty/only/{NEAR}/silence", "POST")
    assert (answer.status, answer.code, _asked(seen)) == (504, "UPSTREAM_TIMEOUT", [NEAR])
    assert answer.json()["error"]["retryable"] is True


def test_a_large_body_is_sent_again_whole_or_not_at_all(cold: Cold) -> None:
    """Envoy keeps what it may have to send again up to the connection's buffer of 1 MiB; beyond, it does not."""
    for size in (500_000, 3_000_000):
        with cold.upstreams.watch() as seen:
            answer = cold.ask(f"usual/only/{NEAR}/status/503", "PUT", b"x" * size)
        if size < 1_000_000:
            assert (answer.status, [each.length for each in seen]) == (200, [size, size])
        else:
            assert (answer.status, [each.length for each in seen]) == (503, [size])


def test_each_place_is_asked_with_its_own_prefix(cold: Cold) -> None:
    """Also the second and third one, after the first was asked with another."""
    answer, seen = _ask(cold, "prefixed/status/503?a=%20", "GET")
    assert answer.status == 503
    asked = {(each.upstream, each.target) for each in seen}
    assert asked == {(label, f"/only/{label}/status/503?a=%20") for label in PLACES}
