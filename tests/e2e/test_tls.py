"""Listeners that name their hosts, in the clear and with a certificate that came over SDS."""

from __future__ import annotations

import ssl

import pytest

from tests.e2e.http2 import Wire2
from tests.e2e.stack import Stack
from tests.e2e.wire import Answer, Wire, ask, bearer

pytestmark = pytest.mark.envoy

_SERVED = ["run.example.test", "llama.models.example.test", "a.b.models.example.test"]
_SPELT = ["RUN.Example.Test", "run.example.test:443", "LLAMA.models.example.test:8443"]
_FOREIGN = [
    *(
        "example.test",
        "models.example.test",
        "xrun.example.test",
        "run.example.test.evil.test",
        "run-example.test",
    ),
    *(
        "x.models.example.test.evil.test",
        ".models.example.test",
        "run.example.test,run.example.test",
        "127.0.0.1",
        "x",
    ),
    *("run.example.test:80:80", "run.example.test@evil.test", "evil.test?run.example.test"),
]


def _misdirected(answer: Answer) -> None:
    assert (answer.status, answer.code) == (421, "MISDIRECTED_REQUEST")
    assert answer.json()["error"]["request_id"] == answer.header("x-request-id")


@pytest.mark.parametrize("host", [*_SERVED, *_SPELT])
def test_a_served_host_is_served(stack: Stack, host: str) -> None:
    headers = [("Host", host), *bearer(stack.acme)]
    assert ask(stack.ports.hosts, "/acme/models/llama", headers=headers).status == 200


@pytest.mark.parametrize("host", _FOREIGN)
def test_another_host_is_misdirected(stack: Stack, host: str) -> None:
    with stack.upstreams.watch() as seen:
        answer = ask(stack.ports.hosts, "/acme/models/llama", headers=[("Host", host), *bearer(stack.acme)])
    if answer.status == 400:
        assert answer.code == "BAD_REQUEST"
    else:
        _misdirected(answer)
    assert seen == []


def test_a_repeated_host_is_no_way_in(stack: Stack) -> None:
    for hosts in (["run.example.test", "evil.test"], ["evil.test", "run.example.test"]):
        headers = [*(("Host", host) for host in hosts), *bearer(stack.acme)]
        assert ask(stack.ports.hosts, "/acme/models/llama", headers=headers).code in (
            "BAD_REQUEST",
            "MISDIRECTED_REQUEST",
        )


@pytest.mark.parametrize("host", _SERVED[:2])  # a wildcard in a certificate stands for one label
def test_https_with_the_hosts_own_certificate(stack: Stack, host: str) -> None:
    with Wire(stack.ports.secure, stack.certificates.client(), host) as wire:
        headers = [("Host", host), *bearer(stack.acme)]
        answer = wire.ask("/acme/models/llama/v1?x=%20", headers=headers)
        assert (answer.status, answer.json()["line"]) == (200, "GET /v1?x=%20 HTTP/1.1")
        assert dict(answer.json()["headers"])["x-forwarded-proto"] == "https"
        _misdirected(wire.ask("/acme/models/llama", headers=[("Host", "evil.test"), *bearer(stack.acme)]))


def test_http2_is_agreed_on_over_tls(stack: Stack) -> None:
    context = stack.certificates.client(["h2", "http/1.1"])
    with Wire2(stack.ports.secure, context, "run.example.test") as wire:
        assert isinstance(wire.socket, ssl.SSLSocket)
        assert wire.socket.selected_alpn_protocol() == "h2"
        assert wire.ask("/acme/models/llama", headers=bearer(stack.acme)).status == 200
        assert wire.ask("/acme/models/llama").code == "AUTHENTICATION_REQUIRED"
        _misdirected(wire.ask("/acme/models/llama", headers=bearer(stack.acme), host="evil.test"))


@pytest.mark.parametrize("name", ["evil.test", "example.test", None])
def test_another_server_name_gets_no_certificate(stack: Stack, name: str | None) -> None:
    context = stack.certificates.client()
    context.check_hostname = False
    with pytest.raises((ssl.SSLError, ConnectionError)):
        Wire(stack.ports.secure, context, name)


def test_the_certificate_holds_for_its_own_names_only(stack: Stack) -> None:
    """A client that checks would notice the certificate of another listener."""
    with Wire(stack.ports.secure, stack.certificates.client(), "run.example.test") as wire:
        assert isinstance(wire.socket, ssl.SSLSocket)
        certificate = wire.socket.getpeercert()
    assert certificate is not None
    assert certificate["subjectAltName"] == (("DNS", "run.example.test"), ("DNS", "*.models.example.test"))


def test_plain_http_is_not_spoken_on_a_tls_port(stack: Stack) -> None:
    with pytest.raises((EOFError, ConnectionError)):
        ask(stack.ports.secure, "/acme/models/llama", headers=bearer(stack.acme))
