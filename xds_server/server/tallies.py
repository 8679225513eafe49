"""Tallies: what load reports say of the few clusters that somebody watches, since he last asked."""

from __future__ import annotations

from collections.abc import Iterable

from xds_server.rollout import Tally
from xds_server.server.load_reports import Load, Place


class Tallies:
    """Adds up over all nodes; what nobody watches is not kept."""

    def __init__(self) -> None:
        self._counted: dict[str, Tally] = {}

    def watch(self, clusters: set[str]) -> None:
        """Watch these clusters, and no others any more."""
        self._counted = {name: self._counted.get(name, Tally()) for name in clusters}

    def count(self, report: Iterable[tuple[Place, Load]]) -> None:
        """Take a report."""
        for place, load in report:
            counted = self._counted.get(place.cluster)
            if counted is not None:
                self._counted[place.cluster] = counted.plus(Tally(load.succeeded, load.failed))

    def take(self, cluster: str) -> Tally:
        """What a cluster had since this was last asked."""
        counted = self._counted.get(cluster, Tally())
        if cluster in self._counted:
            self._counted[cluster] = Tally()
        return counted
