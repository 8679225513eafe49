"""Requests without a pause, to every model over every listener."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from ssl import SSLContext
from time import monotonic

from tests.e2e.clients import Clients
from tests.e2e.wire import Wire, bearer
from tests.matrix.world import HOST

_PAUSE = 0.004
"""Seconds between two requests of one client: the models are not what is tested."""


class Traffic(Clients):
    """One client for each listener, which asks for all paths in turn. A context manager.

    `bad` are the answers other than 200, and requests without one, by the clock of the recorder's trace.
    """

    def __init__(self, ports: Mapping[str, int], tls: SSLContext, token: str) -> None:
        super().__init__(ports)
        self.bad: list[str] = []
        self.answers = 0
        self._ports = dict(ports)
        self._tls = tls
        self._headers = bearer(token)
        self._paths: tuple[str, ...] = ()

    def aim(self, paths: Iterable[str]) -> None:
        """Ask for these paths from now on; returns when nothing else is being asked for, and each was answered."""
        self._paths = tuple(paths)
        self.flow()

    def flow(self) -> None:
        """Wait until each client has been around once more."""
        self.advance(2)

    def run(self, name: str) -> None:
        wire: Wire | None = None
        while not self.ended.is_set():
            for path in self._paths:
                try:
                    wire = wire or self._connect(name)
                    answer = wire.ask(path, headers=self._headers)
                except (OSError, EOFError) as error:
                    self._complain(f"{name} {path}: {type(error).__name__} {error}")
                    wire = self._close(wire)
                    continue
                self.answers += 1
                if answer.status != 200:
                    self._complain(f"{name} {path}: {answer.status} {answer.code}")
                if answer.header("connection") == "close":
                    wire = self._close(wire)
                self.ended.wait(_PAUSE)
            self.rounds[name] += 1
            self.ended.wait(_PAUSE)
        self._close(wire)

    def _complain(self, what: str) -> None:
        self.bad.append(f"{monotonic():.3f} {what}")

    def _connect(self, name: str) -> Wire:
        secure = name == "secure"
        return Wire(self._ports[name], self._tls if secure else None, HOST if secure else None)

    def _close(self, wire: Wire | None) -> None:
        if wire is not None:
            wire.socket.close()
