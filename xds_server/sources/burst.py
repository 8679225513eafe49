"""Bursts: the first of many signals is passed on at once, the others once it is quiet again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

QUIET = 0.020
"""Seconds without a signal after which a burst is over."""

LONGEST = 0.200
"""Seconds after which the signals of a burst are passed on even if it is not over."""


class Burst:
    """Signals in, fewer signals out. For one event loop and one reader."""

    def __init__(self, quiet: float = QUIET, longest: float = LONGEST) -> None:
        self._quiet = quiet
        self._longest = longest
        self._pending = asyncio.Event()
        self._last = float("-inf")

    def signal(self, urgent: bool = True) -> None:
        """Something happened. What is not urgent is passed on when it is quiet, never at once."""
        now = asyncio.get_running_loop().time()
        if not self._pending.is_set():
            self._leads = urgent and now - self._last > self._quiet
            self._first = now
        self._last = now
        self._pending.set()

    async def merged(self) -> AsyncIterator[None]:
        """One item for each lone signal, at once; within a burst, one for what came until it was quiet."""
        loop = asyncio.get_running_loop()
        while True:
            await self._pending.wait()
            if not self._leads:
                until = self._first + self._longest
                # Not to be woken by each signal is what this waits for.
                while (wait := min(self._last + self._quiet, until) - loop.time()) > 0:  # noqa: ASYNC110
                    await asyncio.sleep(wait)
            self._pending.clear()
            # Whatever comes while the reader works on this one belongs to its burst.
            self._last = max(self._last, loop.time())
            yield
