"""Headers: what a client could forge, the id of each request, and the bounds."""

from __future__ import annotations

import re

import pytest

from tests.e2e.http2 import Wire2
from tests.e2e.stack import Stack
from tests.e2e.upstream import Seen
from tests.e2e.wire import Headers, Wire, ask, bearer

pytestmark = pytest.mark.envoy

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _one(stack: Stack, port: int, headers: Headers, path: str = "/acme/models/llama") -> Seen:
    with stack.upstreams.watch() as seen:
        answer = ask(port, path, headers=[*headers, *bearer(stack.acme)])
    assert answer.status == 200, answer
    assert len(seen) == 1
    return seen[0]


@pytest.mark.parametrize("path", ["/beta/models/llama", "/acme/models/none", "/beta", "", "x"])
def test_the_path_header_is_the_gateways_own(stack: Stack, port: int, path: str) -> None:
    seen = _one(stack, port, [("X-Fairlead-Path", path), ("x-fairlead-path", path)])
    assert seen.upstream in ("paris", "virginia")
    assert seen.all("x-fairlead-path") == []
    answer = ask(
        port, "/beta/models/llama", headers=[("X-Fairlead-Path", "/acme/models/llama"), *bearer(stack.acme)]
    )
    assert (answer.status, answer.code) == (403, "FORBIDDEN")


@pytest.mark.parametrize(
    "name", ["X_Fairlead_Workspace", "x-fairlead_workspace", "x_fairlead-model", "x_fairlead_region"]
)
def test_look_alikes_of_the_gateways_headers_do_not_arrive(stack: Stack, port: int, name: str) -> None:
    """Servers that follow CGI cannot tell `_` from `-`; a model's own names may have one."""
    seen = _one(stack, port, [(name, "forged"), ("X_Own", "kept")])
    assert "forged" not in [value for _, value in seen.headers]
    assert seen.header("x_own") == "kept"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-envoy-upstream-rq-timeout-ms", "1"),
        ("x-envoy-upstream-rq-per-try-timeout-ms", "1"),
        ("x-envoy-expected-rq-timeout-ms", "1"),
        ("x-envoy-retry-on", "5xx,gateway-error,reset,retriable-4xx"),
        ("x-envoy-max-retries", "9"),
        ("x-envoy-retriable-status-codes", "500"),
        ("x-envoy-retriable-header-names", "content-type"),
        ("x-envoy-hedge-on-per-try-timeout", "true"),
        ("x-envoy-original-path", "/beta/models/llama"),
        ("x-envoy-original-url", "/beta/models/llama"),
        ("x-envoy-original-host", "beta"),
        ("x-envoy-original-dst-host", "127.0.0.1:1"),
        ("x-envoy-decorator-operation", "forged"),
        ("x-envoy-upstream-alt-stat-name", "forged"),
        ("x-envoy-upstream-stream-duration-ms", "1"),
        ("x-envoy-ip-tags", "forged"),
        ("x-envoy-internal", "true"),
        ("x-envoy-external-address", "10.0.0.1"),
        ("x-envoy-force-trace", "true"),
        ("x-envoy-downstream-service-cluster", "forged"),
        ("x-envoy-downstream-service-node", "forged"),
        ("x-envoy-attempt-count", "forged"),
        ("X-ENVOY-made-up", "forged"),
    ],
)
def test_headers_of_envoys_own_do_not_come_from_a_client(
    stack: Stack, port: int, name: str, value: str
) -> None:
    seen = _one(stack, port, [(name, value)])
    assert value not in seen.all(name)


@pytest.mark.parametrize("name", ["x-envoy-retry-on", "x-envoy-max-retries"])
def test_a_client_cannot_make_a_request_run_twice(stack: Stack, port: int, name: str) -> None:
    headers = [(name, "5xx" if name.endswith("on") else "5"), ("x-envoy-retry-on", "5xx,retriable-4xx")]
    with stack.upstreams.watch() as seen:
        answer = ask(port, "/acme/models/llama/status/503", "POST", [*headers, *bearer(stack.acme)], b"{}")
        assert answer.status == 503
    assert len(seen) == 1


def test_the_models_own_headers_arrive(stack: Stack, port: int) -> None:
    own = [
        ("X-Api-Version", "2"),
        ("X-Many", "a"),
        ("X-Many", "b"),
        ("Accept", "text/event-stream"),
        ("X-Odd", 'ä=;,"'),
    ]
    seen = _one(stack, port, own)
    assert seen.all("x-many") == ["a", "b"]
    assert (seen.header("x-api-version"), seen.header("accept")) == ("2", "text/event-stream")
    assert seen.header("x-odd") == 'ä=;,"'


def test_cookies_and_long_headers_arrive(stack: Stack, port: int) -> None:
    seen = _one(stack, port, [("Cookie", "a=1; b=2"), ("X-Long", "x" * 20_000)])
    assert (seen.header("cookie"), seen.header("x-long")) == ("a=1; b=2", "x" * 20_000)


def test_each_request_has_an_id_of_the_gateways_making(stack: Stack, port: int) -> None:
    """The model and the client are told the same one, and it is never one that the client chose."""
    for sent in (
        [],
        [("X-Request-Id", "mine")],
        [("x-request-id", "00000000-0000-4000-8000-000000000000")] * 2,
    ):
        with stack.upstreams.watch() as seen:
            answer = ask(port, "/acme/models/llama", headers=[*sent, *bearer(stack.acme)])
        request_id = answer.header("x-request-id")
        assert request_id is not None
        assert _ID.fullmatch(request_id)
        assert seen[0].header("x-request-id") == request_id
        assert request_id not in [value for _, value in sent]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/acme/models/llama/status/500", 500),
        ("/beta/models/llama", 403),
        ("/acme/models/none", 404),
        ("/acme/models/llama?environment=none", 404),
        ("/acme/models/llama?environment=a&environment=b", 400),
        ("/acme/models/resident", 503),
    ],
)
def test_each_error_has_an_id_too(stack: Stack, port: int, path: str, status: int) -> None:
    ids = set()
    for sent in ([], [("X-Request-Id", "mine")]):
        answer = ask(port, path, headers=[*sent, *bearer(stack.acme)])
        assert answer.status == status
        request_id = answer.header("x-request-id")
        assert request_id is not None
        assert _ID.fullmatch(request_id)
        if status != 500:
            assert answer.json()["error"]["request_id"] == request_id
        ids.add(request_id)
    assert len(ids) == 2


@pytest.mark.parametrize("path", ["/acme/models/llama%2f", "/acme/models/llama#", "acme", f"/{'x' * 70_000}"])
def test_what_is_refused_unread_has_an_id_too(stack: Stack, port: int, path: str) -> None:
    """One is made; a client that brought its own gets that back, and nobody else sees it."""
    for sent in ([], [("X-Request-Id", "mine")]):
        answer = ask(port, path, headers=[*sent, *bearer(stack.acme)])
        request_id = answer.header("x-request-id")
        assert request_id is not None
        assert _ID.fullmatch(request_id) or (sent and request_id == "mine")
        assert answer.json()["error"]["request_id"] == request_id


def test_the_model_learns_the_clients_address_from_the_gateway(stack: Stack, port: int) -> None:
    """Who claims to come from somewhere else, or from inside, is not believed to."""
    seen = _one(stack, port, [("X-Forwarded-For", "10.1.2.3"), ("X-Forwarded-Proto", "https")])
    assert seen.header("x-forwarded-proto") == "http"
    trusted = (seen.header("x-forwarded-for") or "").split(",")[-1]
    assert trusted != "10.1.2.3"
    assert seen.header("x-envoy-internal") is None


@pytest.mark.parametrize(
    ("gateway", "name", "value", "headers"),
    [
        ("paris", "X-Long", "x" * 70_000, 1),
        ("virginia", "X-Long", "x" * 70_000, 1),
        ("brisk", "X-Long", "x" * 9_000, 1),
        ("paris", "X-Many", "x", 120),
    ],
)
def test_too_much_of_headers_is_refused(
    stack: Stack, gateway: str, name: str, value: str, headers: int
) -> None:
    many = [(f"{name}-{at}", value) for at in range(headers)]
    with stack.upstreams.watch() as seen:
        answer = ask(
            getattr(stack.ports, gateway), "/acme/models/llama", headers=[*many, *bearer(stack.acme)]
        )
    assert (answer.status, answer.code) == (431, "BAD_REQUEST")
    assert answer.header("content-type") == "application/json; charset=utf-8"
    assert answer.json()["error"]["request_id"] == answer.header("x-request-id")
    assert seen == []


def test_a_path_as_long_as_the_headers_may_be_is_refused(stack: Stack, port: int) -> None:
    answer = ask(port, f"/acme/models/llama/{'x' * 70_000}", headers=bearer(stack.acme))
    assert (answer.status in (414, 431), answer.code) == (True, "BAD_REQUEST")


def test_what_fits_the_bounds_is_served(stack: Stack) -> None:
    headers = [("X-Long", "x" * 6_000), *bearer(stack.acme)]
    assert ask(stack.ports.brisk, "/acme/models/llama", headers=headers).status == 200


def test_too_much_of_headers_is_refused_over_http2(stack: Stack, port: int) -> None:
    """The codec can do no more than reset the stream; the others on its connection are not harmed."""
    with Wire2(port) as wire, stack.upstreams.watch() as seen:
        wire.reset_code(
            wire.open("/acme/models/llama/a", headers=[("x-long", "x" * 70_000), *bearer(stack.acme)])
        )
        assert wire.ask("/acme/models/llama/b", headers=bearer(stack.acme)).status == 200
    assert [each.target for each in seen] == ["/b"]


@pytest.mark.parametrize(
    ("target", "headers"),
    [("/acme/models/llama x", []), ("*", []), ("/acme/models/llama", [("connection", "upgrade")])],
    ids=str,
)
def test_a_malformed_request_harms_no_other_of_its_connection(
    stack: Stack, port: int, target: str, headers: Headers
) -> None:
    """A proxy in front of the gateway may carry the requests of many clients over one connection."""
    with Wire2(port) as wire:
        wire.reset_code(wire.open(target, headers=[*headers, *bearer(stack.acme)]))
        assert wire.ask("/acme/models/llama", headers=bearer(stack.acme)).status == 200


def test_answers_say_nothing_about_what_stands_behind(stack: Stack, port: int) -> None:
    for path in (
        "/acme/models/llama",
        "/acme/models/llama/status/500",
        "/beta/models/llama",
        "/acme/models/resident",
    ):
        answer = ask(port, path, headers=bearer(stack.acme))
        names = {name for name, _ in answer.headers}
        assert not [name for name in names if name.startswith("x-envoy-")], answer
        assert names & {"x-fairlead-path", "x-fairlead-prefix"} == set()


def test_headers_of_one_request_are_not_those_of_the_next(stack: Stack, port: int) -> None:
    with Wire(port) as wire, stack.upstreams.watch() as seen:
        for headers in ([("X-Own", "1")], []):
            assert wire.ask("/acme/models/llama", headers=[*headers, *bearer(stack.acme)]).status == 200
    assert [each.header("x-own") for each in seen] == ["1", None]
