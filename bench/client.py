"""A client that asks the run endpoint on one connection and counts in microseconds."""

from __future__ import annotations

import socket
import time

PAUSE = 0.001
"""Seconds between two questions for something that is awaited: a client that never rests would take a core from those
it waits for, on two cores half of the machine."""
PATIENCE = 120.0


class Client:
    """One kept-alive HTTP/1.1 connection with a token."""

    def __init__(self, port: int, token: str = "") -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._token = f"authorization: Bearer {token}\r\n" if token else ""
        self._buffer = b""

    def get(self, path: str) -> int:
        """Ask for a path; returns the status."""
        return self.ask(path)[0]

    def ask(self, path: str) -> tuple[int, bytes]:
        """Ask for a path; returns the status and the head of the answer, in lower case."""
        return self.send(f"GET {path} HTTP/1.1\r\nhost: bench\r\n{self._token}\r\n".encode())

    def send(self, request: bytes) -> tuple[int, bytes]:
        """Send a whole request as it is; returns what `ask` does."""
        self._socket.sendall(request)
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        head = head.lower()
        length = next(
            (int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"content-length:")),
            0,
        )
        self._buffer = rest
        while len(self._buffer) < length:
            self._fill()
        self._buffer = self._buffer[length:]
        return int(head.split(b" ", 2)[1]), head

    def wait_for(self, path: str) -> None:
        """Ask until the answer is 200. Any other answer than 404 or 503 is an error."""
        limit = time.monotonic() + PATIENCE
        while (status := self.get(path)) != 200:
            if status not in (404, 503) or time.monotonic() > limit:
                raise RuntimeError(f"{path} answers {status}")
            time.sleep(PAUSE)

    def time(self, path: str) -> float:
        """Milliseconds of one request."""
        started = time.perf_counter()
        self.get(path)
        return (time.perf_counter() - started) * 1000

    def close(self) -> None:
        self._socket.close()

    def _fill(self) -> None:
        more = self._socket.recv(65536)
        if not more:
            raise ConnectionError("the gateway closed the connection")
        self._buffer += more
