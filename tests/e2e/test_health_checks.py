"""Backends that fail their check are left out before anyone meets them: by HTTP, gRPC, or a connection alone."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError

from tests.e2e.cold import Cold, run_cold
from tests.e2e.manifest import backend, manifest, revision, write
from tests.e2e.world import FRANKFURT, PARIS
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_BRISK = {"interval": "200ms", "timeout": "150ms", "unhealthyThreshold": 1}


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cold]:
    with run_cold(tmp_path_factory.mktemp("checks")) as running:
        yield running


def _deploy(cold: Cold, name: str, near: str, far: str, check: dict[str, Any]) -> None:
    backends = [backend(PARIS, near), backend(FRANKFURT, far)]
    revisions = [revision("v1", *backends, healthCheck={**_BRISK, **check})]
    # Never sent again: what is left out is left out by the check alone.
    deployment = {"environment": "production", "revisions": revisions, "retries": {"attempts": 0}}
    model = manifest("Model", name, "acme", deployments=[deployment])
    cold.save(lambda: write(cold.folder, f"acme/{name}.yaml", [model]))


class GrpcServer:
    """An HTTP/2 server that answers health checks as it is told, and all else with 200 and its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.serving = True
        self.services: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _serve(self, connection: socket.socket) -> None:
        http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        http.initiate_connection()
        asked: dict[int, dict[str, str]] = {}
        with connection:
            connection.sendall(http.data_to_send())
            while data := connection.recv(65536):
                try:
                    events = http.receive_data(data)
                except ProtocolError:
                    return
                for event in events:
                    if isinstance(event, RequestReceived):
                        asked[event.stream_id] = dict(event.headers)
                    elif isinstance(event, StreamEnded):
                        self._answer(http, event.stream_id, asked.pop(event.stream_id))
                    elif isinstance(event, DataReceived) and event.data:
                        self.services.append(event.data[7:])
                connection.sendall(http.data_to_send())

    def _answer(self, http: H2Connection, stream: int, headers: dict[str, str]) -> None:
        if headers[":path"] != "/grpc.health.v1.Health/Check":
            http.send_headers(stream, [(":status", "200"), ("x-name", self.name)], end_stream=True)
            return
        http.send_headers(stream, [(":status", "200"), ("content-type", "application/grpc")])
        # HealthCheckResponse{status: SERVING = 1 | NOT_SERVING = 2}, https://github.com/grpc/grpc-proto
        http.send_data(stream, b"\0\0\0\0\2\x08" + (b"\1" if self.serving else b"\2"))
        http.send_headers(stream, [("grpc-status", "0")], end_stream=True)


@contextmanager
def _grpc(name: str) -> Iterator[GrpcServer]:
    server = GrpcServer(name)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield server
    server.close()
    thread.join()


def test_a_server_that_says_it_does_not_serve_is_left_out_and_comes_back(cold: Cold) -> None:
    """Asked about its service over HTTP/2 without TLS, as all its requests are."""
    with _grpc("near") as near, _grpc("far") as far:
        _deploy(cold, "by-grpc", near.address, far.address, {"type": "grpc", "service": "inference"})

        def served() -> str | None:
            answer = cold.ask("by-grpc", "POST", b"{}")
            assert answer.status == 200
            return answer.header("x-name")

        wait_until(lambda: served() == "near", "the nearest serves")
        near.serving = False
        wait_until(lambda: served() == "far", "the next one serves")
        near.serving = True
        wait_until(lambda: served() == "near", "the nearest serves again")
        assert b"inference" in {*near.services}


def test_a_place_that_accepts_no_connection_is_left_out_and_comes_back(cold: Cold) -> None:
    one, two = cold.upstreams["one"], cold.upstreams["two"]
    _deploy(cold, "by-tcp", one.address, two.address, {"type": "tcp"})
    wait_until(lambda: cold.served("by-tcp") == "one", "the nearest serves")
    one.close()
    wait_until(lambda: cold.served("by-tcp") == "two", "the next one serves")
    one.open()
    wait_until(lambda: cold.served("by-tcp") == "one", "the nearest serves again")


def test_a_model_whose_path_answers_otherwise_than_expected_is_left_out(cold: Cold) -> None:
    one, two = cold.upstreams["one"], cold.upstreams["two"]
    check = {"path": "/only/one/status/500"}
    _deploy(cold, "by-http", one.address, two.address, check)
    wait_until(lambda: cold.served("by-http") == "two", "only the next one is well")
    _deploy(cold, "by-http", one.address, two.address, {**check, "expectedStatuses": ["500"]})
    wait_until(lambda: cold.served("by-http") == "one", "now that is what is expected")
