"""An HTTP/2 client that shows what goes on: streams of its own choosing, opened before others are answered."""

from __future__ import annotations

import socket
from dataclasses import dataclass, field
from ssl import SSLContext
from types import TracebackType
from typing import Self

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)

from tests.e2e.wire import TIMEOUT, Answer, Headers


@dataclass
class Exchange:
    """What came back on one stream so far."""

    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    ended: bool = False
    reset: int | None = None


class Wire2:
    """One HTTP/2 connection, with prior knowledge or over TLS. A context manager."""

    def __init__(self, port: int, tls: SSLContext | None = None, server_name: str | None = None) -> None:
        plain = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        self.socket = tls.wrap_socket(plain, server_hostname=server_name) if tls else plain
        self._scheme = "https" if tls else "http"
        # Nothing is checked or tidied on the way out: odd requests are what is tested.
        self._h2 = H2Connection(
            H2Configuration(
                header_encoding="utf-8", validate_outbound_headers=False, normalize_outbound_headers=False
            )
        )
        self._h2.initiate_connection()
        self._flush()
        self._exchanges: dict[int, Exchange] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def open(
        self,
        target: str,
        method: str = "GET",
        headers: Headers = (),
        host: str = "run.example.test",
        end: bool = True,
    ) -> int:
        """Begin a request; returns its stream."""
        stream = self._h2.get_next_available_stream_id()
        first = [(":method", method), (":scheme", self._scheme), (":authority", host), (":path", target)]
        self._h2.send_headers(
            stream, [*first, *((name.lower(), value) for name, value in headers)], end_stream=end
        )
        self._exchanges[stream] = Exchange()
        self._flush()
        return stream

    def send(self, stream: int, body: bytes, end: bool = True) -> None:
        """Send a body, as fast as the other side's windows let it."""
        sent = 0
        while sent < len(body):
            room = min(self._h2.local_flow_control_window(stream), self._h2.max_outbound_frame_size)
            if room <= 0:
                self._receive()
                continue
            piece = body[sent : sent + room]
            sent += len(piece)
            self._h2.send_data(stream, piece, end_stream=end and sent == len(body))
            self._flush()

    def read(self, stream: int) -> Answer:
        """The whole answer on a stream."""
        exchange = self._exchanges[stream]
        while not exchange.ended:
            assert exchange.reset is None, exchange
            self._receive()
        status = int(dict(exchange.headers)[":status"])
        headers = tuple(pair for pair in exchange.headers if not pair[0].startswith(":"))
        return Answer(status, "", headers, exchange.body)

    def reset_code(self, stream: int) -> int:
        """The code with which the other side resets a stream."""
        exchange = self._exchanges[stream]
        while exchange.reset is None:
            self._receive()
        return exchange.reset

    def ask(
        self, target: str, method: str = "GET", headers: Headers = (), host: str = "run.example.test"
    ) -> Answer:
        return self.read(self.open(target, method, headers, host))

    def _flush(self) -> None:
        self.socket.sendall(self._h2.data_to_send())

    def _receive(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError
        for event in self._h2.receive_data(data):
            if isinstance(event, ConnectionTerminated):
                raise EOFError(f"connection ended: {event.error_code!r}")
            exchange = self._exchanges.get(getattr(event, "stream_id", 0) or 0)
            if exchange is None or isinstance(event, WindowUpdated):
                continue
            if isinstance(event, ResponseReceived):
                exchange.headers += [(str(name), str(value)) for name, value in event.headers]
            elif isinstance(event, DataReceived):
                exchange.body += event.data
                self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
            elif isinstance(event, StreamEnded):
                exchange.ended = True
            elif isinstance(event, StreamReset):
                exchange.reset = int(event.error_code)
        self._flush()
