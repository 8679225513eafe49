"""A client that writes the bytes it is told to write, and reads answers without interpreting them.

Libraries tidy paths and headers up; here nothing is, since what untidy requests do is what is tested.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ssl import SSLContext
from types import TracebackType
from typing import Any, Self

TIMEOUT = 40.0
Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True)
class Answer:
    """A response: `headers` in order, names in lower case."""

    status: int
    reason: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def header(self, name: str) -> str | None:
        """The one value of a header, or `None`. More than one is a failure."""
        values = self.all(name)
        assert len(values) < 2, (name, values)
        return values[0] if values else None

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The gateway's error code; `None` where the answer is not the gateway's own error."""
        if self.header("x-fairlead-error") is None:
            return None
        error = self.json()["error"]
        assert error["code"] == self.header("x-fairlead-error"), self
        return str(error["code"])


class Wire:
    """One connection to a gateway, kept open. A context manager."""

    def __init__(self, port: int, tls: SSLContext | None = None, server_name: str | None = None) -> None:
        plain = socket.create_connection(("127.0.0.1", port), TIMEOUT)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket = tls.wrap_socket(plain, server_hostname=server_name) if tls else plain
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, target: str, method: str = "GET", headers: Headers = (), body: bytes = b"") -> Answer:
        """Send a request and read its answer; `target` goes out as it is, each character one byte."""
        self.send(write_request(target, method, headers, body))
        return self.read(method)

    def line(self) -> str:
        """One line, without its end."""
        while b"\r\n" not in self._buffer:
            self._more()
        line, _, self._buffer = self._buffer.partition(b"\r\n")
        return line.decode("latin-1")

    def head(self) -> tuple[int, str, tuple[tuple[str, str], ...]]:
        """A response up to its body: status, reason, headers."""
        _, status, reason = (self.line() + "  ").split(" ", 2)
        headers = []
        while line := self.line():
            name, _, value = line.partition(":")
            headers.append((name.lower(), value.strip()))
        return int(status), reason.strip(), tuple(headers)

    def read(self, method: str = "GET") -> Answer:
        """The next whole answer."""
        status, reason, headers = self.head()
        fields = dict(headers)
        if method == "HEAD" or status in (204, 304) or status < 200:
            body = b""
        elif fields.get("transfer-encoding") == "chunked":
            body = b"".join(iter(self.chunk, b""))
        elif "content-length" in fields:
            body = self.exactly(int(fields["content-length"]))
        else:
            body = self.rest()
        return Answer(status, reason, headers, body)

    def chunk(self) -> bytes:
        """The next chunk of a chunked body, empty at its end."""
        chunk = self.exactly(int(self.line(), 16))
        assert self.line() == ""
        return chunk

    def exactly(self, size: int) -> bytes:
        while len(self._buffer) < size:
            self._more()
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data

    def rest(self) -> bytes:
        """All that comes until the other side closes."""
        try:
            while True:
                self._more()
        except EOFError:
            data, self._buffer = self._buffer, b""
            return data

    def _more(self) -> None:
        data = self.socket.recv(65536)
        if not data:
            raise EOFError(f"closed after {self._buffer!r}")
        self._buffer += data


def write_request(target: str, method: str = "GET", headers: Headers = (), body: bytes = b"") -> bytes:
    """The bytes of a request. A `host` is added unless the headers have one, a length where there is a body."""
    names = {name.lower() for name, _ in headers}
    lines = [f"{method} {target} HTTP/1.1"]
    if "host" not in names:
        lines.append("Host: run.example.test")
    lines += [f"{name}: {value}" for name, value in headers]
    if "content-length" not in names and (body or method in ("POST", "PUT", "PATCH")):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def ask(
    port: int,
    target: str,
    method: str = "GET",
    headers: Headers = (),
    body: bytes = b"",
) -> Answer:
    """One request over a connection of its own."""
    with Wire(port) as wire:
        return wire.ask(target, method, headers, body)


def bearer(token: str) -> Headers:
    return [("Authorization", f"Bearer {token}")]


def pipeline(port: int, requests: Iterable[bytes], expected: bytes, window: int = 100) -> int:
    """Send many requests over one connection without waiting for each; returns how many answers begin as `expected`.

    The answers must have no body.
    """
    waiting = list(requests)
    good = 0
    with Wire(port) as wire:
        for at in range(0, len(waiting), window):
            batch = waiting[at : at + window]
            wire.send(b"".join(batch))
            for _ in batch:
                status, reason, _ = wire.head()
                good += f"{status} {reason}".encode().startswith(expected)
    return good
