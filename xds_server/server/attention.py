"""Attention: a clock that runs while somebody looks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LONGEST: Final = 2.0
"""Seconds between two looks that count at most: a look is due four times as often, and may be held up by the disk."""


class Attention:
    """Time in seconds that goes on from look to look, and by ``longest`` at most from one to the next.

    A process that is stopped, a machine that is paused, and an event loop that is held up see nothing of what happens
    meanwhile. ``now`` is a clock that may go on then.
    """

    def __init__(self, now: Callable[[], float], longest: float = LONGEST) -> None:
        self._now = now
        self._longest = longest
        self._last = now()
        self._watched = 0.0

    def look(self) -> float:
        """Look now; returns how long somebody has been looking until now."""
        last, self._last = self._last, self._now()
        self._watched += min(max(self._last - last, 0.0), self._longest)
        return self._watched
