"""Clients that ask without a pause while things go wrong, and what they met."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import count

from tests.chaos.fleet import GATEWAYS, Fleet
from tests.e2e.clients import Clients
from tests.e2e.wire import Headers, Wire

_PAUSE = 0.004
"""Seconds between two requests of one client: the machine has other things to do, too."""


class Traffic(Clients):
    """Some clients at each gateway, of one method. `met` counts answers: their status, or the gateway's code.

    Each request asks for a path of its own, `/{tag}-{gateway}-{client}-{number}`, so that at the models one that was
    run twice is told from two.
    """

    def __init__(
        self,
        fleet: Fleet,
        model: str,
        method: str = "GET",
        *,
        tag: str | None = None,
        headers: Headers | None = None,
        gateways: Iterable[str] = GATEWAYS,
        clients: int = 1,
    ) -> None:
        super().__init__(f"{gateway}-{at}" for gateway in gateways for at in range(clients))
        self.met: Counter[str] = Counter()
        self._fleet, self._model, self._method = fleet, model, method
        self._tag = tag or method
        self._headers = fleet.headers if headers is None else headers
        self._lock = threading.Lock()

    def run(self, name: str) -> None:
        gateway = name.partition("-")[0]
        for at in count():
            if self.ended.is_set():
                return
            met = self._ask(gateway, f"{self._model}/{self._tag}-{name}-{at}")
            with self._lock:
                self.met[met] += 1
            self.rounds[name] += 1
            self.ended.wait(_PAUSE)

    def revisions(self, since: Mapping[str, int]) -> dict[str, list[str]]:
        """What each client met since a mark of the fleet: the revisions that its requests reached, in their order."""
        reached: dict[str, list[tuple[int, str]]] = {name: [] for name in self.rounds}
        for requests in self._fleet.heard(self._model, since).values():
            for each in requests:
                client, _, at = each.target.removeprefix(f"/{self._tag}-").rpartition("-")
                if client in reached:
                    reached[client].append((int(at), each.revision))
        return {name: [revision for _, revision in sorted(each)] for name, each in reached.items()}

    def _ask(self, gateway: str, target: str) -> str:
        body = b"{}" if self._method == "POST" else b""
        try:
            with Wire(self._fleet.ports[gateway]) as wire:
                answer = wire.ask(f"/acme/models/{target}", self._method, self._headers, body)
        except (OSError, EOFError) as error:
            return type(error).__name__
        return answer.code or str(answer.status)
