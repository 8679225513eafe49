from __future__ import annotations

import os
import socket

import pytest

from xds_server.cli import port
from xds_server.cli.outcome import CommandError

from .conftest import free_port


@pytest.mark.parametrize(
    ("text", "parsed"),
    [
        ("127.0.0.1:18000", ("127.0.0.1", 18000)),
        ("[::1]:80", ("::1", 80)),
        ("xds.internal:0", ("xds.internal", 0)),
    ],
)
def test_an_address_is_host_and_port(text: str, parsed: tuple[str, int]) -> None:
    assert port.parse(text) == parsed
    assert port.join(*parsed) == text


@pytest.mark.parametrize("text", ["", "127.0.0.1", ":80", "host:", "host:65536", "host:-1", "host:²"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not host:port"):
        port.parse(text)


def test_a_free_port_passes_and_so_does_any_port() -> None:
    port.require_free("127.0.0.1", free_port(), "Envoy", "change it")
    port.require_free("127.0.0.1", 0, "Envoy", "change it")


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize("address", ["127.0.0.1", "0.0.0.0"])
def test_a_taken_port_names_itself_its_holder_and_the_remedy(address: str, reuse: bool) -> None:
    """Also when the holder would share it, as Envoy and gRPC would."""
    with socket.socket() as holder:
        if reuse:
            holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        number = holder.getsockname()[1]
        with pytest.raises(CommandError) as caught:
            port.require_free(address, number, "the admin page", "change --admin")
    assert f"port {number} is taken by" in caught.value.message
    assert f"(pid {os.getpid()})" in caught.value.message
    assert "the admin page" in caught.value.message
    assert caught.value.hint == "change --admin"


def test_an_address_of_another_machine_is_refused_with_its_reason() -> None:
    with pytest.raises(CommandError, match=r"cannot listen on 192\.0\.2\.1:80") as caught:
        port.require_free("192.0.2.1", 80, "Envoy", "change it")
    assert "taken" not in caught.value.message


@pytest.mark.parametrize(
    ("host", "answer"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("10.0.0.1", False)],
)
def test_loopback_is_this_machine_only(host: str, answer: bool) -> None:
    assert port.loopback(host) is answer


@pytest.mark.parametrize(
    ("host", "answer"), [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("10.0.0.1", "10.0.0.1")]
)
def test_what_listens_everywhere_is_reached_on_loopback(host: str, answer: str) -> None:
    assert port.reachable(host) == answer
