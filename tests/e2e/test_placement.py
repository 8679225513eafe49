"""The right revision in the right region, and what the model is told about it."""

from __future__ import annotations

import pytest

from tests.e2e.stack import Stack
from tests.e2e.wire import ask, bearer
from tests.e2e.world import PARIS, VIRGINIA

pytestmark = pytest.mark.envoy

_TOLD = ("workspace", "model", "environment", "revision", "region")


@pytest.mark.parametrize(
    ("gateway", "model", "upstream"),
    [
        ("paris", "llama", "paris"),
        ("virginia", "llama", "virginia"),
        # By name Montreal comes first, and it is declared first: only the distance leads elsewhere.
        ("paris", "near", "frankfurt"),
        ("virginia", "near", "montreal"),
        # A standby waits however near it is.
        ("paris", "standby", "virginia"),
        ("virginia", "standby", "virginia"),
        # The nearest place refuses connections.
        ("paris", "spilling", "fallback"),
        ("virginia", "spilling", "fallback"),
    ],
)
def test_each_region_goes_to_its_nearest_place(stack: Stack, gateway: str, model: str, upstream: str) -> None:
    for _ in range(5):
        answer = ask(getattr(stack.ports, gateway), f"/acme/models/{model}", headers=bearer(stack.acme))
        assert answer.json()["upstream"] == upstream


@pytest.mark.parametrize(
    ("gateway", "path", "told"),
    [
        ("paris", "/acme/models/llama", ("acme", "llama", "production", "v1", PARIS)),
        ("virginia", "/acme/models/llama", ("acme", "llama", "production", "v1", VIRGINIA)),
        (
            "paris",
            "/acme/models/llama?environment=development",
            ("acme", "llama", "development", "v2", PARIS),
        ),
        (
            "virginia",
            "/acme/models/llama?environment=development",
            ("acme", "llama", "development", "v2", PARIS),
        ),
        ("virginia", "/lab/models/llama", ("lab", "llama", "development", "v2", PARIS)),
        ("paris", "/acme/models/prefixed/x", ("acme", "prefixed", "production", "v1", PARIS)),
        ("paris", "/acme/agents/llama", ("acme", "llama", "production", "v1", PARIS)),
    ],
)
def test_the_model_is_told_what_was_chosen(
    stack: Stack, gateway: str, path: str, told: tuple[str, ...]
) -> None:
    """Whatever the client says about it."""
    token = stack.issuers.main.token("acme", "lab")
    lies = [(f"X-Fairlead-{name}", "lie") for name in _TOLD[1:]]
    with stack.upstreams.watch() as seen:
        for headers in (bearer(token), [*bearer(token), *lies, *lies]):
            assert ask(getattr(stack.ports, gateway), path, headers=headers).status == 200
    assert len(seen) == 2
    for each in seen:
        assert tuple(each.header(f"x-fairlead-{name}") for name in _TOLD) == told


@pytest.mark.parametrize(
    ("gateway", "sent", "forwarded"),
    [
        ("paris", "/acme/models/prefixed", "/inner/v2/"),
        ("paris", "/acme/models/prefixed/chat?a=%20&b", "/inner/v2/chat?a=%20&b"),
        ("virginia", "/acme/models/prefixed", "/outer/"),
        ("virginia", "/acme/models/prefixed/chat?a=%20&b", "/outer/chat?a=%20&b"),
    ],
)
def test_a_backend_has_its_own_path_prefix(stack: Stack, gateway: str, sent: str, forwarded: str) -> None:
    answer = ask(
        getattr(stack.ports, gateway), sent, headers=[*bearer(stack.acme), ("x-fairlead-prefix", "/lie")]
    )
    assert answer.json()["line"] == f"GET {forwarded} HTTP/1.1"
    assert "x-fairlead-prefix" not in dict(answer.json()["headers"])


@pytest.mark.parametrize(
    ("path", "upstream"),
    [
        ("/acme/models/llama", "paris"),
        ("/acme/agents/llama", "agent"),
        ("/acme/functions/resize", "function"),
        ("/acme/models/named", "paris"),
    ],
)
def test_kinds_and_names_lead_to_their_own_backends(stack: Stack, path: str, upstream: str) -> None:
    answer = ask(stack.ports.paris, path, headers=bearer(stack.acme))
    assert (answer.status, answer.json()["upstream"]) == (200, upstream)


def test_a_backend_with_a_name_is_asked_by_that_name(stack: Stack) -> None:
    port = stack.upstreams["paris"].port
    named = ask(stack.ports.paris, "/acme/models/named", headers=bearer(stack.acme)).json()
    assert dict(named["headers"])["host"] == f"localhost:{port}"


@pytest.mark.parametrize("model", ["encrypted", "encrypted-named"])
def test_an_https_backend_is_reached_if_its_certificate_holds(stack: Stack, port: int, model: str) -> None:
    answer = ask(port, f"/acme/models/{model}/v1?x=%20", headers=bearer(stack.acme))
    assert (answer.status, answer.json()["upstream"]) == (200, "secure")
    assert answer.json()["line"] == "GET /v1?x=%20 HTTP/1.1"


@pytest.mark.parametrize(
    ("model", "upstream"), [("half-encrypted", "secure"), ("half-in-the-clear", "frankfurt")]
)
def test_each_backend_of_a_revision_is_spoken_to_as_it_says(
    stack: Stack, port: int, model: str, upstream: str
) -> None:
    answer = ask(port, f"/acme/models/{model}", headers=bearer(stack.acme))
    assert (answer.status, answer.json()["upstream"]) == (200, upstream)


@pytest.mark.parametrize("model", ["distrusted", "misnamed"])
def test_an_https_backend_is_not_reached_if_its_certificate_does_not_hold(
    stack: Stack, port: int, model: str
) -> None:
    with stack.upstreams.watch() as seen:
        answer = ask(port, f"/acme/models/{model}", headers=bearer(stack.acme))
    assert (answer.status, answer.code, answer.header("retry-after")) == (503, "UPSTREAM_UNAVAILABLE", "1")
    assert seen == []
