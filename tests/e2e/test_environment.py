"""Which environment a request gets: the one it names, the default if it names none, never another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from math import sqrt

import pytest

from tests.e2e.stack import Stack
from tests.e2e.wire import ask, bearer, pipeline, write_request
from tests.e2e.world import SPLIT

pytestmark = pytest.mark.envoy

_REQUESTS = 10_000
_CONNECTIONS = 4
_SIGMAS = 6.0


@pytest.mark.parametrize(
    ("path", "upstream"),
    [
        ("/acme/models/llama", "paris"),
        ("/acme/models/llama?environment=production", "paris"),
        ("/acme/models/llama?environment=development", "development"),
        ("/acme/models/llama/v1?a=1&environment=development&b=2", "development"),
        ("/acme/models/late?environment=development", "development"),
        ("/lab/models/llama", "lab-development"),
        ("/lab/models/llama?environment=development", "lab-development"),
        ("/lab/models/llama?environment=production", "lab-production"),
        ("/lab/models/stable?environment=production", "lab-production"),
    ],
)
def test_the_environment_decides(stack: Stack, path: str, upstream: str) -> None:
    answer = ask(stack.ports.paris, path, headers=bearer(stack.issuers.main.token("acme", "lab")))
    assert (answer.status, answer.json()["upstream"]) == (200, upstream)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        # Not deployed there: declared, switched off, never heard of, or nothing.
        ("/acme/models/llama?environment=staging", 404, "DEPLOYMENT_NOT_FOUND"),
        ("/acme/models/llama?environment=preview", 404, "DEPLOYMENT_NOT_FOUND"),
        ("/acme/models/llama?environment=no-such", 404, "DEPLOYMENT_NOT_FOUND"),
        ("/acme/models/llama?environment=", 404, "DEPLOYMENT_NOT_FOUND"),
        ("/acme/models/llama?environment", 404, "DEPLOYMENT_NOT_FOUND"),
        ("/acme/models/llama?environment=production%20", 404, "DEPLOYMENT_NOT_FOUND"),
        ("/acme/models/llama?environment=production/", 404, "DEPLOYMENT_NOT_FOUND"),
        ("/acme/models/llama?environment=production,development", 404, "DEPLOYMENT_NOT_FOUND"),
        ("/acme/models/llama?environment==production", 404, "DEPLOYMENT_NOT_FOUND"),
        # Not in the default environment.
        ("/acme/models/late", 404, "DEPLOYMENT_NOT_FOUND"),
        ("/lab/models/stable", 404, "DEPLOYMENT_NOT_FOUND"),
        # Another writing of a value.
        ("/acme/models/llama?environment=%64evelopment", 404, "DEPLOYMENT_NOT_FOUND"),
        ("/acme/models/llama?environment=%70roduction", 404, "DEPLOYMENT_NOT_FOUND"),
        ("/acme/models/llama?environment=Production", 404, "DEPLOYMENT_NOT_FOUND"),
        ("/acme/models/llama?environment=DEVELOPMENT", 404, "DEPLOYMENT_NOT_FOUND"),
        # Another writing of the name.
        ("/acme/models/llama?%65nvironment=development", 400, "BAD_REQUEST"),
        ("/acme/models/llama?environmen%74=development", 400, "BAD_REQUEST"),
        ("/acme/models/llama?x=1&%65%6E%76%69%72%6f%6e%6d%65%6e%74=development", 400, "BAD_REQUEST"),
        # Twice: whichever this or that reader takes, it must not be the other.
        ("/acme/models/llama?environment=production&environment=development", 400, "BAD_REQUEST"),
        ("/acme/models/llama?environment=development&x&environment=production", 400, "BAD_REQUEST"),
        ("/acme/models/llama?environment=production&environment=production", 400, "BAD_REQUEST"),
        ("/acme/models/llama?environment&environment=development", 400, "BAD_REQUEST"),
        ("/acme/models/llama?environment=&environment=", 400, "BAD_REQUEST"),
        ("/acme/models/llama?environment=development&%65nvironment=production", 400, "BAD_REQUEST"),
    ],
)
def test_no_request_gets_another_environment(
    stack: Stack, port: int, path: str, status: int, code: str
) -> None:
    token = stack.issuers.main.token("acme", "lab")
    with stack.upstreams.watch() as seen:
        answer = ask(port, path, headers=bearer(token))
    assert (answer.status, answer.code) == (status, code)
    assert seen == []


@pytest.mark.parametrize(
    "suffix", ["&Environment=development", "&ENVIRONMENT=development", "&environment%20=development"]
)
def test_other_parameters_are_the_models_own(stack: Stack, port: int, suffix: str) -> None:
    answer = ask(port, f"/acme/models/late?environment=development{suffix}", headers=bearer(stack.acme))
    assert answer.json()["upstream"] == "development"
    assert answer.json()["line"] == f"GET /?environment=development{suffix} HTTP/1.1"


def test_a_semicolon_does_not_separate_parameters(stack: Stack, port: int) -> None:
    with stack.upstreams.watch() as seen:
        ask(port, "/acme/models/llama?x=1;environment=development", headers=bearer(stack.acme))
    assert [each.upstream for each in seen] != ["development"]


def test_weights_hold_over_ten_thousand_requests(stack: Stack) -> None:
    """Each share lies within six standard deviations: wrong alarms are one in hundreds of millions."""
    before = {name: stack.upstreams[f"split-{name}"].connections for name in SPLIT}
    request = write_request("/acme/models/split?environment=development", headers=bearer(stack.acme))
    batch = [request] * (_REQUESTS // _CONNECTIONS)
    with ThreadPoolExecutor(_CONNECTIONS) as clients:
        sent = clients.map(lambda _: pipeline(stack.ports.paris, batch, b"200"), range(_CONNECTIONS))
        assert sum(sent) == _REQUESTS
    counts = {name: stack.upstreams[f"split-{name}"].connections - before[name] for name in SPLIT}
    assert sum(counts.values()) == _REQUESTS
    assert counts["idle"] == 0
    for name, weight in SPLIT.items():
        share = weight / sum(SPLIT.values())
        assert abs(counts[name] - _REQUESTS * share) <= _SIGMAS * sqrt(_REQUESTS * share * (1 - share)), (
            counts
        )
