"""Turns on the event loop's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from time import monotonic
from typing import Final

from prometheus_client import Gauge

from xds_server.server.admission import Turns

_YOUNG: Final = 15.0
"""Seconds after its first turn in which a client that asks for a further type is still coming up: for so long Envoy
waits for the first answer of a type before it goes on without."""


class Turn:
    """One stream's part in its `Pacing`. `wake` is called when the turn comes.

    Clients come up type by type: Envoy is in step with its runtime before it asks for a cluster, and with its
    clusters before it asks for a listener. So each type it opens while it comes up needs a turn again; later
    on nothing does.
    """

    def __init__(self, pacing: Pacing, wake: Callable[[], None]) -> None:
        self._pacing = pacing
        self._wake = wake
        self._asked = False
        self._mine = False
        self._over = False
        self._since: float | None = None
        """When its first turn came."""

    def open(self, now: float) -> None:
        """Take note that the client asks for a further type."""
        if self._over and self._since is not None and now < self._since + _YOUNG:
            self._asked = self._mine = self._over = False

    @property
    def waiting(self) -> bool:
        """Say whether the turn was asked for and has not come."""
        return self._asked and not self._mine

    def has_come(self) -> bool:
        """Say whether the stream may send, after having asked for its turn. Stays true after the turn."""
        if not self._asked:
            self._asked = True
            self._pacing.ask(self, self._come)
        return self._mine

    def _come(self) -> None:
        self._mine = True
        if self._since is None:
            self._since = monotonic()
        self._wake()

    def end(self) -> None:
        """Leave the place, or the wait, to others. What is sent from now on needs no turn, but see `open`."""
        if not self._over:
            self._over = True
            self._pacing.done(self)


class Pacing:
    """Keeps `Turns` going: wakes up when a turn ends by itself, and shows how many wait."""

    def __init__(self, turns: Turns, active: Gauge, waiting: Gauge) -> None:
        self._turns = turns
        self._timer: asyncio.TimerHandle | None = None
        active.set_function(lambda: turns.active)
        waiting.set_function(lambda: turns.waiting)

    def ask(self, who: Hashable, go: Callable[[], None]) -> None:
        """As `Turns.ask`."""
        self._turns.ask(who, go, monotonic())
        self._plan()

    def done(self, who: Hashable) -> None:
        """As `Turns.done`."""
        self._turns.done(who, monotonic())
        self._plan()

    def _plan(self) -> None:
        deadline = self._turns.deadline
        if deadline is None or self._timer is not None:
            return
        delay = max(0.0, deadline - monotonic())
        self._timer = asyncio.get_running_loop().call_later(delay, self._expire)

    def _expire(self) -> None:
        self._timer = None
        self._turns.expire(monotonic())
        self._plan()
