"""A client that asks the run endpoint on one connection and counts in microseconds."""

from __future__ import annotations

import socket


class Client:
    """One kept-alive HTTP/1.1 connection with a token."""

    def __init__(self, port: int, token: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._token = token
        self._buffer = b""

    def get(self, path: str) -> int:
        """Ask for a path; returns the status."""
        request = f"GET {path} HTTP/1.1\r\nhost: bench\r\nauthorization: Bearer {self._token}\r\n\r\n"
        self._socket.sendall(request.encode())
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, rest = self._buffer.partition(b"\r\n\r\n")
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length:")
        )
        self._buffer = rest
        while len(self._buffer) < length:
            self._fill()
        self._buffer = self._buffer[length:]
        return int(head.split(b" ", 2)[1])

    def close(self) -> None:
        self._socket.close()

    def _fill(self) -> None:
        more = self._socket.recv(65536)
        if not more:
            raise ConnectionError("the gateway closed the connection")
        self._buffer += more
