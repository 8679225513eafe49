"""The bounds of a gateway: what is beyond them is refused, and what is within goes on."""

from __future__ import annotations

import select
import socket
from contextlib import ExitStack

import pytest

from tests.e2e.stack import Stack
from tests.e2e.wire import ask, bearer
from tests.e2e.world import CONNECTIONS
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_MORE = 15


def test_connections_beyond_the_limit_are_closed(stack: Stack) -> None:
    with ExitStack() as held:
        clients = [
            held.enter_context(socket.create_connection(("127.0.0.1", stack.ports.brisk)))
            for _ in range(CONNECTIONS + _MORE)
        ]
        poll = select.poll()
        for client in clients:
            poll.register(client, select.POLLIN)
        wait_until(lambda: len(poll.poll(0)) >= _MORE, "as many connections closed as there are too many")
        closed = {descriptor for descriptor, _ in poll.poll(0)}
        assert all(client.recv(1) == b"" for client in clients if client.fileno() in closed)
    answer = wait_until(lambda: _try(stack), "room again once they are gone")
    assert answer == 200


def _try(stack: Stack) -> int | None:
    try:
        return ask(stack.ports.brisk, "/acme/models/llama", headers=bearer(stack.acme)).status
    except (OSError, EOFError, AssertionError):  # closed at once, or refused
        return None
