"""A gRPC server as a health check sees one."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import DataReceived, RequestReceived, StreamEnded
from h2.exceptions import ProtocolError


class GrpcServer:
    """An HTTP/2 server that answers health checks as it is told, and all else with 200 and its name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.serving = True
        self.services: list[bytes] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self._connections.append(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def close(self) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in self._connections:
            with suppress(OSError):  # the other side was first
                each.shutdown(socket.SHUT_RDWR)

    def _serve(self, connection: socket.socket) -> None:
        http = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        http.initiate_connection()
        asked: dict[int, dict[str, str]] = {}
        with connection:
            connection.sendall(http.data_to_send())
            while data := _receive(connection):
                try:
                    events = http.receive_data(data)
                except ProtocolError:
                    return
                for event in events:
                    if isinstance(event, RequestReceived):
                        asked[event.stream_id] = dict(event.headers)
                    elif isinstance(event, StreamEnded):
                        with suppress(ProtocolError):  # whoever asked has given up by now
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


def _receive(connection: socket.socket) -> bytes:
    """What comes next; nothing at the end, however that comes about."""
    try:
        return connection.recv(65536)
    except OSError:
        return b""


@contextmanager
def run_grpc(name: str) -> Iterator[GrpcServer]:
    """Have one run meanwhile."""
    server = GrpcServer(name)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.close()
        thread.join()
