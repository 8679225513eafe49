"""Many requests at every Envoy at once."""

from __future__ import annotations

import select
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from tests.chaos.fleet import GATEWAYS, Fleet
from tests.e2e.wire import Answer, Wire, write_request
from tests.envoy_process import wait_until


class Burst:
    """Requests for a model at each Envoy, each over a connection of its own. A context manager.

    Each asks for a path of its own, `/{gateway}-{number}`. Whoever has no answer when it ends, hangs up.
    """

    def __init__(self, fleet: Fleet, model: str, method: str = "GET") -> None:
        self._fleet, self._model, self._method = fleet, model, method
        self._before = fleet.mark()
        self._sent = 0
        self._open = ExitStack()
        self._waiting: dict[str, list[Wire]] = {gateway: [] for gateway in GATEWAYS}
        self._answers: dict[str, list[Answer]] = {gateway: [] for gateway in GATEWAYS}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def send(self, requests: int) -> None:
        """So many more at each Envoy."""
        body = b"{}" if self._method == "POST" else b""
        for gateway in GATEWAYS:
            wires = [self._open.enter_context(self._fleet.connect(gateway)) for _ in range(requests)]
            for at, wire in enumerate(wires, self._sent):
                target = f"/acme/models/{self._model}/{gateway}-{at}"
                wire.send(write_request(target, self._method, self._fleet.headers, body))
            self._waiting[gateway] += wires
        self._sent += requests

    def answers(self, gateway: str) -> list[Answer]:
        """Those that are there by now, in order."""
        poll = select.poll()
        wires = {wire.socket.fileno(): wire for wire in self._waiting[gateway]}
        for descriptor in wires:
            poll.register(descriptor, select.POLLIN)
        for descriptor, _ in poll.poll(0):
            self._answers[gateway].append(wires[descriptor].read(self._method))
            self._waiting[gateway].remove(wires[descriptor])
        return list(self._answers[gateway])

    def wait(self) -> dict[str, list[Answer]]:
        """All answers at each Envoy."""
        for gateway in GATEWAYS:
            wait_until(
                lambda gateway=gateway: len(self.answers(gateway)) == self._sent,
                f"{gateway} has answered",
            )
        return {gateway: self.answers(gateway) for gateway in GATEWAYS}

    def heard(self, gateway: str) -> dict[str, int]:
        """How many requests of that Envoy each place had; those that had none are left out."""
        counts = {
            place: sum(each.target.startswith(f"/{gateway}-") for each in requests)
            for place, requests in self._fleet.heard(self._model, self._before).items()
        }
        return {place: count for place, count in counts.items() if count}
