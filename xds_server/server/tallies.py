"""Tallies: what load reports say of the few clusters that somebody watches, since he last asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from time import monotonic
from typing import Final

from xds_server.rollout import NO_REQUESTS, Tally
from xds_server.server.load_reports import Load, Place

_SLACK: Final = 0.05
"""Seconds that two clocks, and the way of a report, may make a difference."""


@dataclass(slots=True)
class _Entry:
    since: float
    counted: Tally = NO_REQUESTS


class Tallies:
    """Adds up over all nodes; what nobody watches is not kept. ``now`` is a clock in seconds.

    A report tells of an interval that is over. What it has of the time before a cluster was begun with is not told
    apart from the rest, so only reports that lie behind that moment as a whole count.
    """

    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._entries: dict[str, _Entry] = {}

    def watch(self, clusters: set[str]) -> None:
        """Watch these clusters, and no others any more."""
        known, now = self._entries, self._now()
        self._entries = {name: known.get(name) or _Entry(now) for name in clusters}

    def begin(self, cluster: str) -> None:
        """Begin anew with a cluster that is watched."""
        if cluster in self._entries:
            self._entries[cluster] = _Entry(self._now())

    def count(self, report: Iterable[tuple[Place, Load]], seconds: float) -> None:
        """Take a report over the last so many seconds."""
        begun = self._now() - seconds + _SLACK
        for place, load in report:
            entry = self._entries.get(place.cluster)
            if entry is not None and entry.since <= begun:
                entry.counted = entry.counted.plus(Tally(load.succeeded, load.failed))

    def take(self, cluster: str) -> Tally:
        """What a cluster had since this was last asked."""
        entry = self._entries.get(cluster)
        if entry is None:
            return NO_REQUESTS
        counted, entry.counted = entry.counted, NO_REQUESTS
        return counted
