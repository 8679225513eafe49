"""Callers who send one request each, and may have to wait for its answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import count
from types import TracebackType
from typing import Self

from tests.chaos.fleet import GATEWAYS, Fleet
from tests.chaos.process import Heard
from tests.e2e.wire import Answer

BODY = b"0123456789abcdef" * 8192
"""128 KiB, more than goes with the headers."""
_PATIENCE = 180.0
"""Seconds, longer than any gateway lets a request wait here: it is for the gateway to end that."""


class Callers:
    """They ask for one model, each for a path of its own, so that one that was served twice is told from two.

    A context manager, which ends when all are answered.
    """

    def __init__(self, fleet: Fleet, model: str) -> None:
        self._fleet, self._model = fleet, model
        self._numbers = count()
        self._pool = ThreadPoolExecutor(32)
        self._asked: dict[str, tuple[str, Future[Answer]]] = {}
        """Gateway and answer by method and path."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def ask(self, gateways: Iterable[str] = GATEWAYS, each: int = 2) -> None:
        """Send so many of GET and of POST at each of the gateways, and go on."""
        for gateway in gateways:
            for method in ("GET", "POST") * each:
                path = f"/{gateway}-{next(self._numbers)}"
                answer = self._pool.submit(self._ask, gateway, method, path)
                self._asked[f"{method} {path}"] = (gateway, answer)

    def _ask(self, gateway: str, method: str, path: str) -> Answer:
        with self._fleet.connect(gateway) as wire:
            wire.socket.settimeout(_PATIENCE)
            target = f"/acme/models/{self._model}{path}"
            return wire.ask(target, method, self._fleet.headers, BODY if method == "POST" else b"")

    def waiting(self, gateway: str) -> int:
        """How many at a gateway have no answer."""
        return sum(at == gateway and not answer.done() for at, answer in self._asked.values())

    def answers(self, *gateways: str) -> list[Answer]:
        """What those at the gateways got; they are waited for."""
        return [answer.result() for at, answer in self._asked.values() if at in gateways]

    def names(self, *gateways: str) -> set[str]:
        """What those at the gateways asked for, as `GET /path`."""
        return {name for name, (at, _) in self._asked.items() if at in gateways}


def count_runs(heard: dict[str, list[Heard]]) -> Counter[str]:
    """How often the models ran each request, as `GET /path`; each POST must be there with all of its body."""
    everywhere = [each for place in heard.values() for each in place]
    for each in everywhere:
        assert each.method == "GET" or each.headers["content-length"] == str(len(BODY)), each
    return Counter(f"{each.method} {each.target}" for each in everywhere)
