"""Odd paths: the normalised right answer or a refusal, and never another workspace's model."""

from __future__ import annotations

import json
import random
from collections import Counter

import pytest

from tests.e2e.http2 import Wire2
from tests.e2e.stack import Stack
from tests.e2e.wire import Answer, Wire, ask, bearer, write_request

pytestmark = pytest.mark.envoy

_FUZZED = 200


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        ("//acme//models//llama", "/"),
        ("/acme//models/llama//v1///chat", "/v1/chat"),
        ("/./acme/./models/llama/./v1", "/v1"),
        ("/acme/models/llama/x/../v1", "/v1"),
        ("/beta/../acme/models/llama/v1", "/v1"),
        ("/acme/models/none/../llama/v1", "/v1"),
        ("/acme/models/llama/..//llama/v1", "/v1"),
        ("/%61cme/models/%6clama/v1", "/v1"),
        ("/acme/models/llama%2E%2e/../llama/v1", "/v1"),
        ("/acme/models/%2e%2e/models/llama/v1", "/v1"),
        ("/acme/models/llama/%2e%2e/llama/v1", "/v1"),
        ("\\acme\\models\\llama\\v1", None),
        ("/acme\\models\\llama\\v1", "/v1"),
        ("/beta\\..\\acme/models/llama/v1", "/v1"),
        ("/acme/models/none/..;/llama/v1", "/v1"),
        ("/beta/..;x=1/acme/models/llama/v1", "/v1"),
        ("/acme/models/llama/a;/../v1;b=1", "/v1;b=1"),
        ("/acme/models/llama/...", "/..."),
        ("/acme/models/llama/v1.", "/v1."),
        ("/acme/models/llama/%7Ex/%41", "/~x/A"),
        ("/acme/models/llama/a%25b%3B", "/a%25b%3B"),
        ("http://run.example.test/acme/models/llama/v1?x=%20", "/v1?x=%20"),
        ("http://other.example.test//acme/models/llama/v1", "/v1"),
    ],
)
def test_odd_but_clear_paths_reach_what_they_mean(
    stack: Stack, port: int, sent: str, forwarded: str | None
) -> None:
    with stack.upstreams.watch() as seen:
        answer = ask(port, sent, headers=bearer(stack.acme))
    if forwarded is None:
        _refused(answer)
        assert seen == []
    else:
        assert answer.json()["line"] == f"GET {forwarded} HTTP/1.1"
        assert [each.header("x-fairlead-workspace") for each in seen] == ["acme"]


def _refused(answer: Answer, *codes: str) -> None:
    assert answer.status in (400, 403, 404)
    assert answer.code in (codes or ("BAD_REQUEST", "FORBIDDEN", "MODEL_NOT_FOUND"))
    error = answer.json()["error"]
    assert error["status"] == answer.status
    assert error["origin"] == "gateway"
    assert error["request_id"] == answer.header("x-request-id")


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/acme/models/llama%2fv1", "BAD_REQUEST"),
        ("/acme/models%2Fllama", "BAD_REQUEST"),
        ("/acme%2fmodels/llama", "BAD_REQUEST"),
        ("/acme/models/llama/%5cv1", "BAD_REQUEST"),
        ("/acme/models/llama%5C..%5c..%5Cbeta", "BAD_REQUEST"),
        ("/acme/models/llama/%00", "BAD_REQUEST"),
        ("/acme%00/models/llama", "BAD_REQUEST"),
        ("/acme/models/llama#/v1", "BAD_REQUEST"),
        ("/acme/models/llama?x#y", "BAD_REQUEST"),
        ("/acme/models/llama/\xe4", "BAD_REQUEST"),
        ("/acme/models/llama?x=\xe4", "BAD_REQUEST"),
        ("acme/models/llama", "BAD_REQUEST"),
        ("*", "BAD_REQUEST"),
        ("/acme/../beta/models/llama", "FORBIDDEN"),
        ("/acme/models/llama/../../../beta/models/llama", "FORBIDDEN"),
        ("/acme/models/llama/%2e%2e/%2E%2E/%2e./beta/models/llama", "FORBIDDEN"),
        ("/acme/..\\beta/models/llama", "FORBIDDEN"),
        ("/acme\\..\\beta\\models\\llama", "FORBIDDEN"),
        ("/acme;/models/llama", "FORBIDDEN"),
        ("/acme;beta/models/llama", "FORBIDDEN"),
        ("/acme/..;/beta/models/llama", "FORBIDDEN"),
        ("/acme/%2e%2e;/beta/models/llama", "BAD_REQUEST"),
        ("/acme/models/llama/%2e%2e;/v1", "BAD_REQUEST"),
        ("/acme/models/llama/v1/%2E%3Bx/y", "BAD_REQUEST"),
        ("/;/acme/models/llama", "FORBIDDEN"),
        ("/acme%20/models/llama", "FORBIDDEN"),
        ("/acme%09/models/llama", "FORBIDDEN"),
        ("/acme%c0%af/models/llama", "FORBIDDEN"),
        ("/acme%252f../models/llama", "FORBIDDEN"),
        ("/ACME/models/llama", "FORBIDDEN"),
        ("/Acme/models/llama", "FORBIDDEN"),
        ("/acme./models/llama", "FORBIDDEN"),
        ("/.acme/models/llama", "FORBIDDEN"),
        ("/acme/models/LLAMA", "MODEL_NOT_FOUND"),
        ("/acme/Models/llama", "MODEL_NOT_FOUND"),
        ("/acme/models/llama.", "MODEL_NOT_FOUND"),
        ("/acme/models/llama..", "MODEL_NOT_FOUND"),
        ("/acme/models/llama;v=1", "MODEL_NOT_FOUND"),
        ("/acme/models/%6clama%20", "MODEL_NOT_FOUND"),
        ("/acme/models/%252e%252e/llama", "MODEL_NOT_FOUND"),
        ("/../../../../etc/passwd", "FORBIDDEN"),
        ("/" * 500, "FORBIDDEN"),
        ("http://run.example.test", "FORBIDDEN"),
        ("http://run.example.test/beta/models/llama", "FORBIDDEN"),
        ("http://acme@run.example.test/beta/models/llama", "FORBIDDEN"),
    ],
)
def test_other_odd_paths_are_refused(stack: Stack, port: int, path: str, code: str) -> None:
    with stack.upstreams.watch() as seen:
        answer = ask(port, path, headers=bearer(stack.acme))
    _refused(answer, code)
    assert seen == []


@pytest.mark.parametrize("path", ["/acme/models/llama%2fv1", "/acme/models/llama/%00", "acme", "*"])
def test_a_stranger_learns_no_more_from_odd_paths(stack: Stack, port: int, path: str) -> None:
    answer = ask(port, path)
    assert (answer.status, answer.code) in ((400, "BAD_REQUEST"), (401, "AUTHENTICATION_REQUIRED"))


@pytest.mark.parametrize(
    "path", ["/acme/models/llama%2fv1", "/acme/models/llama/%00", "/beta/models/llama", "/ACME/x"]
)
def test_odd_paths_are_refused_over_http2(stack: Stack, port: int, path: str) -> None:
    with stack.upstreams.watch() as seen, Wire2(port) as wire:
        _refused(wire.ask(path, headers=bearer(stack.acme)))
    assert seen == []


@pytest.mark.parametrize(
    "authority", ["run.example.test:80", "RUN.example.test", "beta", "beta.run.example.test", "127.0.0.1"]
)
def test_the_host_chooses_no_workspace(stack: Stack, port: int, authority: str) -> None:
    headers = [("Host", authority), *bearer(stack.acme)]
    assert ask(port, "/acme/models/llama", headers=headers).json()["upstream"] != "beta"
    _refused(ask(port, "/beta/models/llama", headers=headers), "FORBIDDEN")


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        ("/acme/models/llama/files/a%2Fb%2fc", "/files/a%2Fb%2fc"),
        ("/acme/models/llama/files/a%5Cb", "/files/a%5Cb"),
        ("/acme/models/llama/a%2F..%2Fb?x=%2F", "/a%2F..%2Fb?x=%2F"),
        ("/acme/models/llama//v1", "/v1"),
    ],
)
def test_a_gateway_can_keep_encoded_slashes(stack: Stack, sent: str, forwarded: str) -> None:
    answer = ask(stack.ports.brisk, sent, headers=bearer(stack.acme))
    assert answer.json()["line"] == f"GET {forwarded} HTTP/1.1"


@pytest.mark.parametrize(
    "path",
    [
        "/acme%2fmodels%2fllama",
        "/acme/models/none%2f..%2fllama",
        "/beta%2f..%2facme/models/llama",
        "/acme%2f..%2fbeta/models/llama",
        "/acme/..%2fbeta/models/llama",
        "/acme/%2e%2e%2fbeta/models/llama",
        "/acme/..%5cbeta/models/llama",
        "/acme%2f/models/llama",
        "/acme/models%2f/llama",
        "/acme/models/llama%2fv1",
        "/%2facme/models/llama",
    ],
)
def test_kept_slashes_separate_nothing(stack: Stack, path: str) -> None:
    with stack.upstreams.watch() as seen:
        _refused(ask(stack.ports.brisk, path, headers=bearer(stack.acme)))
    assert seen == []


_PIECES = r"""
acme beta models llama agents .. . ; ..; ... ACME Beta bet%61 %62eta \ ..\ \.. \beta beta. beta;acme * ~ % %c0%ae%c0%ae
%2e%2e %2E %2e. .%2e %252e%252e %2f %5c %00 %20 a%62 ..%2fbeta acme%2f..%2fbeta beta%2fmodels%2fllama
"""
_GOALS = ["/acme/models/llama", "/beta/models/llama", "/beta/models/llama/v1"]
_SUFFIXES = "/ ? ?environment=production ?x=/beta/models/llama /.. /../../../beta/models/llama"


def _mangle(chance: random.Random) -> str:
    """A path on the way from one workspace to the other, more or less mangled."""
    parts = chance.choice(_GOALS).split("/")[1:]
    for _ in range(chance.randint(0, 5)):
        parts.insert(chance.randint(0, len(parts)), chance.choice(["", *_PIECES.split()]))
    separators = ["/"] * 20 + ["//", "\\", "/./", "/;/"]
    path = "".join(chance.choice(separators) + part for part in parts)
    start = chance.choice([""] * 20 + ["http://run.example.test", "http://beta", "//beta", "\\"])
    return start + path + chance.choice(["", *_SUFFIXES.split()])


@pytest.mark.parametrize("gateway", ["paris", "virginia", "brisk"])
def test_no_mangled_path_leads_to_another_workspace(stack: Stack, gateway: str, seed: str) -> None:
    """With acme's token, whatever the path: only acme's models are reached, and each refusal is the gateway's JSON."""
    chance = random.Random(seed)
    outcomes: Counter[int] = Counter()
    port = getattr(stack.ports, gateway)
    for _ in range(_FUZZED):
        path = _mangle(chance)
        lies = [("X-Fairlead-Path", "/beta/models/llama"), ("X-Envoy-Original-Path", "/beta/models/llama")]
        with stack.upstreams.watch() as seen:
            answer = ask(port, path, headers=[*bearer(stack.acme), *lies])
        outcomes[answer.status] += 1
        where = f"seed {seed}, path {path!r}: {answer}"
        assert [each for each in seen if each.upstream == "beta"] == [], where
        assert [each for each in seen if each.header("x-fairlead-workspace") != "acme"] == [], where
        if answer.status == 200:
            assert json.loads(answer.body)["upstream"] in ("paris", "virginia", "agent"), where
        else:
            _refused(answer)
    assert outcomes[200] > 5, outcomes  # some mean a model of acme's own, or this would prove little
    assert outcomes[403] > 5, outcomes


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET /acme/models/llama HTTP/9.9\r\nHost: x\r\n\r\n",
        b"GET /acme/models/llama\r\n\r\n",
        b"G@T /acme/models/llama HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /acme/models/llama HTTP/1.1\r\n\r\n",
        b"GET /acme/models/llama HTTP/1.1\r\nHost: x\r\nbad header: 1\r\n\r\n",
        b"GET /acme/models/llama HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"0\r\n\r\n",
        b"GET /acme/models/llama HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        b"GET /acme/models/llama HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        b"GET /acme/models/llama HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    ],
)
def test_requests_that_are_none_are_refused(stack: Stack, port: int, request_bytes: bytes) -> None:
    token = write_request("x", headers=bearer(stack.acme)).split(b"\r\n")[2] + b"\r\n"
    head, end, body = request_bytes.partition(b"\r\n\r\n")
    with stack.upstreams.watch() as seen, Wire(port) as wire:
        wire.send(head + b"\r\n" + token + end[2:] + body)
        answer = wire.read()
    assert answer.status in (400, 426, 501)
    assert answer.code == "BAD_REQUEST"
    assert answer.json()["error"]["request_id"] == answer.header("x-request-id")
    assert seen == []
