"""Breath: work in the background that stands back while there is work in the foreground.

Python runs one thread at a time. Whoever writes ten thousand documents would slow a change down that comes meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Final, TypeVar

Item = TypeVar("Item")

_EVERY: Final = 16
_SECONDS: Final = 0.001
_WAIT_SECONDS: Final = 0.1
_PATIENCE_SECONDS: Final = 5.0


class Breath:
    """Gives other threads a turn, and waits while it is `held`; not for ever, lest a busy server never writes."""

    def __init__(self) -> None:
        self._calm = Event()
        self._calm.set()
        self._waited = 0.0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have the background stand back: there is work in the foreground."""
        self._calm.clear()
        try:
            yield
        finally:
            self._calm.set()

    def begin(self) -> None:
        """Begin a new piece of work in the background."""
        self._waited = 0.0

    def between(self, items: Iterable[Item]) -> Iterator[Item]:
        """The same items, with a breath every few of them."""
        for count, item in enumerate(items, 1):
            yield item
            if count % _EVERY == 0:
                self._take()

    def _take(self) -> None:
        time.sleep(_SECONDS)
        while not self._calm.is_set() and self._waited < _PATIENCE_SECONDS:
            started = time.monotonic()
            self._calm.wait(_WAIT_SECONDS)
            self._waited += time.monotonic() - started
