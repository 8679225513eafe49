"""The same request at every Envoy at once, and what came of it at each."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count
from typing import TypeVar

from tests.chaos.fleet import GATEWAYS, Fleet
from tests.e2e.wire import Answer
from tests.envoy_process import wait_until

Result = TypeVar("Result")
_numbers = count()


@dataclass(frozen=True)
class Met:
    """What one request met, and the seconds until then."""

    fleet: Fleet = field(repr=False)
    gateway: str
    model: str
    path: str
    before: Mapping[str, int] = field(repr=False)
    answer: Answer
    took: float

    def went(self, *places: str) -> bool:
        """Wait until these places, in the order of `PLACES`, have had the request, each once.

        One that says nothing may take note of it a moment after it was given up.
        """
        wait_until(lambda: self.places() == [*places], f"{self} went to {places}")
        return True

    def places(self) -> list[str]:
        """Each place that had the request, as often as it had it."""
        heard = self.fleet.heard(self.model, self.before)
        return [place for place, requests in heard.items() for each in requests if each.target == self.path]


def do_everywhere(work: Callable[[str], Result]) -> dict[str, Result]:
    """The results of what is done with each gateway, at the same time."""
    with ThreadPoolExecutor(len(GATEWAYS)) as threads:
        return dict(zip(GATEWAYS, threads.map(work, GATEWAYS), strict=True))


def ask_everywhere(fleet: Fleet, model: str, method: str = "GET") -> list[Met]:
    """Ask every Envoy for a model, at a path of its own each; POST and PUT have a body."""
    before = fleet.mark()
    return list(do_everywhere(lambda gateway: _ask(fleet, gateway, model, method, before)).values())


def _ask(fleet: Fleet, gateway: str, model: str, method: str, before: Mapping[str, int]) -> Met:
    path = f"/{method}-{gateway}-{next(_numbers)}"
    started = time.monotonic()
    with fleet.connect(gateway) as wire:
        body = b"{}" if method in ("POST", "PUT") else b""
        answer = wire.ask(f"/acme/models/{model}{path}", method, fleet.headers, body)
    return Met(fleet, gateway, model, path, before, answer, time.monotonic() - started)


def settle_at(fleet: Fleet, place: str, *models: str) -> None:
    """Wait until every Envoy has the models served by that place: one that failed is left out for a while.

    Each Envoy is waited for by itself: a while may be short, and need not be the same at all of them.
    """

    def settle(gateway: str) -> None:
        for model in models:
            wait_until(
                lambda model=model: _is_at(_ask(fleet, gateway, model, "GET", fleet.mark()), place),
                f"{gateway} has {model} served by {place}",
            )

    do_everywhere(settle)


def _is_at(met: Met, place: str) -> bool:
    return met.answer.status == 200 and met.places() == [place]
