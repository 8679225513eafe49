"""What each audience sees of a catalogue, and what changed for it since the one before."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final

import structlog

from xds_server.server.metrics import Metrics
from xds_server.snapshot import Audience, Catalogue, Diff, View, diff

log = structlog.get_logger("fairlead.publisher")

_REMEMBERED: Final = 8
_MEMORY_SECONDS: Final = 600.0
"""How many catalogues are remembered of which something has gone since, and for how long: a client that comes back may
hold what they had."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What an audience sees of one catalogue; `view` is `None` when there is nothing new that it could be shown."""

    before: View | None
    """What it saw until then."""
    view: View | None = None
    change: Diff | None = None
    """The difference to what it saw before, if it saw anything."""


Sights = Mapping[Audience, Sight]


class Outlook:
    """Makes sights, and remembers the catalogues of which clients may still hold something.

    One thread at a time.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._past: tuple[tuple[float, Catalogue], ...] = ()
        """Earlier catalogues and when they were followed by another, the newest first."""

    def remember(self, catalogue: Catalogue, successor: Catalogue | None = None) -> None:
        """Take note of what clients may still hold: a catalogue that is not served, or no longer.

        Not of one whose clusters its `successor` all has: there is nothing to remember, and so many of them, made a
        second apart by traffic that moves, would have those before forgotten.
        """
        if successor is not None and catalogue.generation >= successor.intact_since:
            return
        self._past = ((monotonic(), catalogue), *self._past)[:_REMEMBERED]

    def look_all(
        self, catalogue: Catalogue, befores: Mapping[Audience, View | None], served: Catalogue | None
    ) -> Sights:
        """Return what these audiences see of a catalogue, while `served` is what clients are sent."""
        return {audience: self.look(catalogue, audience, view, served) for audience, view in befores.items()}

    def look(
        self, catalogue: Catalogue, audience: Audience, before: View | None, served: Catalogue | None
    ) -> Sight:
        """As `look_all`, for one audience. If the view fails to compile, that is told, and there is nothing new."""
        try:
            view = catalogue.view(audience, before)
            if view is None:
                return Sight(before)
            view.past = tuple(self._views_before(catalogue, audience, served))
            return Sight(before, view, None if before is None else diff(before, view))
        except Exception:
            log.exception("cannot make a view; its nodes keep what they have", **audience._asdict())
            self._metrics.views_failed.inc()
            return Sight(before)

    def _views_before(
        self, catalogue: Catalogue, audience: Audience, served: Catalogue | None
    ) -> Iterator[View]:
        forgotten = monotonic() - _MEMORY_SECONDS
        recent = [each for since, each in self._past if since > forgotten]
        known = [served, *recent] if served is not None else recent
        for each in known[:_REMEMBERED]:
            view = each.view(audience) if each is not catalogue else None
            if view is not None:
                view.past = ()  # a chain of all views there ever were would never end
                yield view
