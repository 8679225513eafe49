"""What a client sends reaches the model as it was sent: path, query, method, body, streams."""

from __future__ import annotations

import random
import time
from hashlib import sha256

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.e2e.http2 import Wire2
from tests.e2e.stack import Stack
from tests.e2e.wire import Wire, ask, bearer, write_request

pytestmark = pytest.mark.envoy

_LONGER_THAN_ENVOY_WAITS = 16.0


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        ("/acme/models/llama", "/"),
        ("/acme/models/llama/", "/"),
        ("/acme/models/llama/v1/chat/completions", "/v1/chat/completions"),
        ("/acme/models/llama/a/b/c/d/e/f/g/h/i/j/", "/a/b/c/d/e/f/g/h/i/j/"),
        ("/acme/models/llama?", "/?"),
        ("/acme/models/llama?x=1", "/?x=1"),
        ("/acme/models/llama/?x=1", "/?x=1"),
        ("/acme/models/llama/v1?a=b%20c&d=%2F%2f&flag&e=&f==", "/v1?a=b%20c&d=%2F%2f&flag&e=&f=="),
        (
            "/acme/models/llama/v1?b=2&a=1&b=1&%C3%A4=%00&p=//x/../y?z",
            "/v1?b=2&a=1&b=1&%C3%A4=%00&p=//x/../y?z",
        ),
        ("/acme/models/llama/v1?z=1&environment=production&a=%7E", "/v1?z=1&environment=production&a=%7E"),
        ("/acme/models/llama/v1?environments=x&xenvironment=y", "/v1?environments=x&xenvironment=y"),
        ("/acme/models/llama/a%20b/c%3Fd", "/a%20b/c%3Fd"),
        ("/acme/models/llama/caf%C3%A9", "/caf%C3%A9"),
        ("/acme/models/llama/models/llama", "/models/llama"),
        (
            "/acme/models/llama/acme/models/llama?a=/acme/models/llama",
            "/acme/models/llama?a=/acme/models/llama",
        ),
        ("/acme/models/llama/x;y=1/$&'()*+,=:@!", "/x;y=1/$&'()*+,=:@!"),
        ("/acme/models/llama-3.1_8b/v1", "/v1"),
    ],
)
def test_path_and_query_arrive_byte_for_byte(stack: Stack, port: int, sent: str, forwarded: str) -> None:
    answer = ask(port, sent, headers=bearer(stack.acme))
    assert answer.status == 200
    assert answer.json()["line"] == f"GET {forwarded} HTTP/1.1"


def test_path_and_query_arrive_byte_for_byte_over_http2(stack: Stack, port: int) -> None:
    with Wire2(port) as wire:
        target = "/acme/models/llama/a%20b?d=%2F%2f&flag&e=&environment=production"
        answer = wire.ask(target, headers=bearer(stack.acme))
    assert answer.json()["line"] == "GET /a%20b?d=%2F%2f&flag&e=&environment=production HTTP/1.1"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "PURGE"])
def test_any_method_arrives(stack: Stack, port: int, method: str) -> None:
    body = b"{}" if method in ("POST", "PUT", "PATCH", "DELETE", "PROPFIND") else b""
    answer = ask(port, "/acme/models/llama/v1", method, bearer(stack.acme), body)
    assert answer.json()["line"] == f"{method} /v1 HTTP/1.1"
    assert answer.json()["digest"] == sha256(body).hexdigest()


def test_a_head_request_gets_headers_alone(stack: Stack, port: int) -> None:
    with Wire(port) as wire, stack.upstreams.watch() as seen:
        answer = wire.ask("/acme/models/llama/v1", "HEAD", bearer(stack.acme))
        assert (answer.status, answer.header("content-length"), answer.header("x-seen")) == (200, "7", "/v1")
        assert (
            wire.ask("/acme/models/llama/v2", "GET", bearer(stack.acme)).status == 200
        )  # nothing in between
    assert [each.line for each in seen] == ["HEAD /v1 HTTP/1.1", "GET /v2 HTTP/1.1"]


def test_ten_megabytes_arrive_intact(stack: Stack, port: int) -> None:
    body = random.Random(10).randbytes(10_000_000)
    answer = ask(port, "/acme/models/llama/upload", "POST", bearer(stack.acme), body)
    assert (answer.json()["length"], answer.json()["digest"]) == (len(body), sha256(body).hexdigest())


def test_a_chunked_body_arrives_intact(stack: Stack, port: int) -> None:
    pieces = [random.Random(at).randbytes(at * 1000 + 1) for at in range(40)]
    with Wire(port) as wire:
        head = [*bearer(stack.acme), ("Transfer-Encoding", "chunked")]
        wire.send(write_request("/acme/models/llama/upload", "PROPFIND", head))
        for piece in pieces:
            wire.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        wire.send(b"0\r\n\r\n")
        answer = wire.read()
    assert answer.json()["digest"] == sha256(b"".join(pieces)).hexdigest()


def test_server_sent_events_are_not_held_back(stack: Stack, port: int) -> None:
    """The model sends an event only when the client has seen the one before: a buffer anywhere would stop it all."""
    model = stack.upstreams["paris" if port == stack.ports.paris else "virginia"]
    with Wire(port) as wire, stack.upstreams.watch() as seen:
        wire.send(write_request("/acme/models/llama/stream", "POST", bearer(stack.acme), b"{}"))
        status, _, headers = wire.head()  # there before any event is
        assert (status, dict(headers)["content-type"]) == (200, "text/event-stream")
        for at in range(20):
            event = f"data: {at}\n\n".encode()
            model.feed(event)
            assert wire.chunk() == event
        model.feed(None)
        assert wire.chunk() == b""
    assert [each.target for each in seen] == ["/stream"]


def test_an_answer_may_take_longer_than_envoy_would_wait(stack: Stack) -> None:
    """Envoy's own limit for the whole of an answer is 15 seconds; this one goes on for longer, and ends well.

    In Virginia, where routes bring no limit of their own: where they do, Envoy forgets about its.
    """
    model = stack.upstreams["virginia"]
    with Wire(stack.ports.virginia) as wire:
        wire.send(write_request("/acme/models/llama/stream", "POST", bearer(stack.acme), b"{}"))
        assert wire.head()[0] == 200
        started = time.monotonic()
        while time.monotonic() - started < _LONGER_THAN_ENVOY_WAITS:
            model.feed(b"data: 1\n\n")
            assert wire.chunk() == b"data: 1\n\n"
            time.sleep(0.5)
        model.feed(None)
        assert wire.chunk() == b""


def test_a_web_socket_carries_both_ways(stack: Stack, port: int) -> None:
    url = f"ws://127.0.0.1:{port}/acme/models/llama/socket?room=a%20b"
    headers = dict(bearer(stack.acme))
    with (
        stack.upstreams.watch() as seen,
        connect(url, additional_headers=headers, proxy=None, compression=None) as socket,
    ):
        for message in ("one", "zwei", b"\x00\xff" * 50_000, "three"):
            socket.send(message)
            assert socket.recv(timeout=20) == message
    assert [each.target for each in seen] == ["/socket?room=a%20b"]


@pytest.mark.parametrize(
    ("path", "status"), [("/acme/models/llama/socket", 401), ("/beta/models/llama/socket", 403)]
)
def test_a_web_socket_needs_the_same_access(stack: Stack, port: int, path: str, status: int) -> None:
    headers = {} if status == 401 else dict(bearer(stack.acme))
    with stack.upstreams.watch() as seen, pytest.raises(InvalidStatus) as refused:
        connect(f"ws://127.0.0.1:{port}{path}", additional_headers=headers, proxy=None)
    assert refused.value.response.status_code == status
    assert seen == []


def test_a_client_that_waits_for_100_continue_gets_it(stack: Stack, port: int) -> None:
    body = b"x" * 100_000
    with Wire(port) as wire:
        headers = [*bearer(stack.acme), ("Expect", "100-continue"), ("Content-Length", str(len(body)))]
        wire.send(write_request("/acme/models/llama/v1", "PROPFIND", headers))
        assert wire.read().status == 100
        wire.send(body)
        answer = wire.read()
    assert answer.status == 200
    assert answer.json()["digest"] == sha256(body).hexdigest()


def test_http2_streams_share_a_connection(stack: Stack, port: int) -> None:
    """Eight bodies are open at once, and are ended in another order than they were begun in."""
    bodies = [random.Random(at).randbytes(200_000) for at in range(8)]
    with Wire2(port) as wire:
        streams = [
            wire.open(f"/acme/models/llama/upload?at={at}", "POST", bearer(stack.acme), end=False)
            for at in range(8)
        ]
        for stream, body in zip(streams, bodies, strict=True):
            wire.send(stream, body[:100_000], end=False)
        for stream, body in reversed(list(zip(streams, bodies, strict=True))):
            wire.send(stream, body[100_000:])
        for at, (stream, body) in enumerate(zip(streams, bodies, strict=True)):
            answer = wire.read(stream)
            assert answer.status == 200
            assert answer.json()["line"] == f"POST /upload?at={at} HTTP/1.1"
            assert answer.json()["digest"] == sha256(body).hexdigest()


def test_errors_look_the_same_over_http2(stack: Stack, port: int) -> None:
    with Wire2(port) as wire:
        for target, headers, status, code in [
            ("/acme/models/llama", [], 401, "AUTHENTICATION_REQUIRED"),
            ("/beta/models/llama", bearer(stack.acme), 403, "FORBIDDEN"),
            ("/acme/models/none", bearer(stack.acme), 404, "MODEL_NOT_FOUND"),
            ("/acme/models/llama?environment=staging", bearer(stack.acme), 404, "DEPLOYMENT_NOT_FOUND"),
            ("/acme/models/llama%2fx", bearer(stack.acme), 400, "BAD_REQUEST"),
        ]:
            answer = wire.ask(target, headers=headers)
            assert (answer.status, answer.code) == (status, code)
            assert answer.json()["error"]["request_id"] == answer.header("x-request-id")
        assert wire.ask("/acme/models/llama", headers=bearer(stack.acme)).status == 200  # still usable


def test_a_connection_stays_open_over_errors(stack: Stack, port: int) -> None:
    with Wire(port) as wire:
        for target, status in [("", 200), ("/status/500", 500), ("?environment=no", 404), ("", 200)]:
            assert wire.ask(f"/acme/models/llama{target}", headers=bearer(stack.acme)).status == status
