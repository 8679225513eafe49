"""Clients that ask without a pause while things go wrong, and what they met."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from itertools import count
from types import TracebackType
from typing import Self

from tests.chaos.fleet import GATEWAYS, Fleet
from tests.e2e.wire import Wire
from tests.envoy_process import wait_until


@dataclass
class Traffic:
    """One client at each gateway, of one method. `met` counts answers: their status, or the gateway's code.

    Each request asks for a path of its own, so that at the models one that was run twice is told from two.
    """

    fleet: Fleet
    model: str
    method: str
    met: Counter[str] = field(default_factory=Counter)
    _done: Counter[str] = field(default_factory=Counter)
    _ended: threading.Event = field(default_factory=threading.Event)
    _clients: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        for gateway in GATEWAYS:
            client = threading.Thread(target=self._ask, args=(gateway,), daemon=True)
            self._clients.append(client)
            client.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        for each in self._clients:
            each.join()

    def advance(self, requests: int = 10) -> None:
        """Wait until each client was answered so many times more."""
        before = Counter(self._done)
        wait_until(
            lambda: all(self._done[each] >= before[each] + requests for each in GATEWAYS), "more answers"
        )

    def _ask(self, gateway: str) -> None:
        body = b"{}" if self.method == "POST" else b""
        for at in count():
            if self._ended.is_set():
                return
            path = f"/acme/models/{self.model}/{self.method}-{gateway}-{at}"
            try:
                with Wire(self.fleet.ports[gateway]) as wire:
                    answer = wire.ask(path, self.method, self.fleet.headers, body)
                self.met[answer.code or str(answer.status)] += 1
            except (OSError, EOFError) as error:
                self.met[type(error).__name__] += 1
            self._done[gateway] += 1
