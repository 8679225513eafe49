"""An address to which no connection comes about, and which refuses none."""

from __future__ import annotations

import socket
from types import TracebackType
from typing import Self


class FullBacklog:
    """A server that accepts nobody, and whose queue is full. A context manager."""

    def __enter__(self) -> Self:
        self._server = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.address = f"127.0.0.1:{self._server.getsockname()[1]}"
        self._clients = []
        for _ in range(8):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(self._server.getsockname())
            self._clients.append(client)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for each in (*self._clients, self._server):
            each.close()
