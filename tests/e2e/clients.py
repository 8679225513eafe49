"""Clients that ask without a pause while something happens: threads, and an end to them."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from tests.envoy_process import PATIENCE, wait_until


class Clients(ABC):
    """Some clients by name, each in a thread of its own from the beginning of a block to its end. A context manager.

    `run` is what one of them does, until `ended` is set; it counts its `rounds`, which `advance` waits for.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.ended = threading.Event()
        self.rounds = dict.fromkeys(names, 0)
        self._threads = [
            threading.Thread(target=self.run, args=(name,), name=f"client {name}", daemon=True)
            for name in self.rounds
        ]

    @abstractmethod
    def run(self, name: str) -> None:
        """Be the client of that name."""

    def __enter__(self) -> Self:
        for each in self._threads:
            each.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.ended.set()
        for each in self._threads:
            each.join()

    def advance(self, rounds: int = 10) -> None:
        """Wait until each client has been around so many times more."""
        before = dict(self.rounds)
        wait_until(
            lambda: all(self.rounds[name] >= done + rounds for name, done in before.items()),
            f"each client has been around {rounds} times more",
            PATIENCE + rounds / 2,
        )
