"""How many streams there may be, and how many of them at once in their first exchange."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from prometheus_client import Counter


class Seats:
    """Counts open streams up to a limit."""

    def __init__(self, limit: int, refused: Counter) -> None:
        self.taken = 0
        self._limit = limit
        self._refused = refused

    @property
    def words(self) -> str:
        """What one is told who gets no seat."""
        return f"the server has {self._limit} streams, the most it takes; try again later"

    def take(self) -> bool:
        """Take a seat; `False` when there is none left."""
        if self.taken >= self._limit:
            self._refused.inc()
            return False
        self.taken += 1
        return True

    def free(self) -> None:
        """Give a seat back."""
        self.taken -= 1


class Turns:
    """Lets at most `places` streams be in their first exchange at once; others wait, in the order they came.

    A turn ends with `done`, or after `patience` seconds: a client that takes its time then goes on beside the
    others, and the next one comes in. Nobody is ever turned away. Pure: `now` is any clock in seconds that
    does not go back. Call `expire` when `deadline` comes.
    """

    def __init__(self, places: int, patience: float) -> None:
        self._places = places
        self._patience = patience
        self._active: OrderedDict[Hashable, float] = OrderedDict()
        self._waiting: OrderedDict[Hashable, Callable[[], None]] = OrderedDict()

    @property
    def active(self) -> int:
        """How many have their turn."""
        return len(self._active)

    @property
    def waiting(self) -> int:
        """How many wait for it."""
        return len(self._waiting)

    @property
    def deadline(self) -> float | None:
        """When the oldest turn ends by itself. `None` when nobody waits for that."""
        if not self._waiting or not self._active:
            return None
        return next(iter(self._active.values())) + self._patience

    def ask(self, who: Hashable, go: Callable[[], None], now: float) -> None:
        """Ask for a turn, once; `go` is called when it comes, perhaps at once. It must not fail."""
        self._waiting[who] = go
        self.expire(now)

    def done(self, who: Hashable, now: float) -> None:
        """End a turn, or the wait for it; not to have either is no fault."""
        self._active.pop(who, None)
        self._waiting.pop(who, None)
        self.expire(now)

    def expire(self, now: float) -> None:
        """Give the places that are free, and those held too long if others wait, to the next in order."""
        while self._waiting:
            if len(self._active) >= self._places:
                oldest, since = next(iter(self._active.items()))
                if now < since + self._patience:
                    return
                del self._active[oldest]
            who, go = self._waiting.popitem(last=False)
            self._active[who] = now
            go()
