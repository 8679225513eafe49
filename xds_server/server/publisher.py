"""One writer, many streams: who is sent which view."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final, Protocol

import structlog

from xds_server.server.metrics import Metrics
from xds_server.server.outlook import Outlook, Sights
from xds_server.snapshot import Audience, Catalogue, Diff, View

log = structlog.get_logger("fairlead.publisher")

NOTHING_PREPARED: Final[Sights] = {}


class Reader(Protocol):
    """Takes the views of one audience. `show` must not block: it notes what changed and wakes the sender."""

    def show(self, view: View, change: Diff | None) -> None:
        """Take a new view and, unless it is the first of its audience, the difference to the one before."""

    def audience_in(self, catalogue: Catalogue) -> Audience:
        """Return the audience of which a catalogue makes the node a part."""

    def move(self, audience: Audience) -> None:
        """Take notice of a new audience; its view, if there is one, is shown next."""


@dataclass(slots=True)
class _Group:
    view: View | None = None
    readers: set[Reader] = field(default_factory=set)


def _warn_of_strangers(waiting: Iterable[Audience], catalogue: Catalogue) -> None:
    # Those who come later are told of when they come.
    for audience in waiting:
        if audience.gateway not in catalogue.gateways:
            log.warning(
                "waiting nodes name a gateway that is not declared; nothing is sent to them",
                gateway=audience.gateway,
                region=audience.region,
                known_gateways=sorted(catalogue.gateways),
            )


def _warn_of_end(audience: Audience, view: View) -> None:
    rest = "its nodes keep their listeners" if view.types() else "its clients lose all they had"
    log.warning(f"gateway is gone; {rest}", gateway=audience.gateway)


class Publisher:
    """Holds the current catalogue, and shows each reader its audience's view of it.

    There are no queues: a reader is told which names changed and looks at the newest view when it sends, so
    a slow one costs nothing. Each audience's view and difference are made once, outside the event loop.
    """

    def __init__(self, metrics: Metrics) -> None:
        self.catalogue: Catalogue | None = None
        self._outlook = Outlook(metrics)
        self._groups: dict[Audience, _Group] = {}
        self._identities: dict[str, frozenset[str]] = {}
        self._writing = asyncio.Lock()
        self._metrics = metrics

    def remember(self, catalogue: Catalogue) -> None:
        """As `Outlook.remember`."""
        self._outlook.remember(catalogue)

    def prepare(self, catalogue: Catalogue) -> Sights:
        """Return what those who are there now will see of a catalogue. In any thread; nobody is shown it yet."""
        befores = {audience: group.view for audience, group in self._groups.copy().items()}
        return self._outlook.look_all(catalogue, befores, self.catalogue)

    async def publish(self, catalogue: Catalogue, prepared: Sights = NOTHING_PREPARED) -> None:
        """Make a catalogue the current one. An audience whose view fails to compile keeps the one it has.

        What is `prepared` and still holds need not be made.
        """
        async with self._writing:
            started = perf_counter()
            befores = {audience: group.view for audience, group in self._groups.items()}
            divided = self.catalogue is not None and catalogue.divides_like(self.catalogue)
            for _, _, audience in () if divided else self._moves(catalogue):
                befores.setdefault(audience, None)
            if self.catalogue is None:
                _warn_of_strangers(befores, catalogue)
            fresh = {
                audience: (sight.view, sight.change)
                for audience, sight in (await self._look_all(catalogue, befores, prepared)).items()
                if sight.view is not None
            }
            if self.catalogue is not None:
                self._outlook.remember(self.catalogue, catalogue)
            self.catalogue = catalogue
            self._identities |= {
                name: catalogue.identities.get(name, frozenset()) for name in catalogue.gateways
            }
            moves = [] if divided else self._moves(catalogue)
            for reader, left, _ in moves:
                self.detach(reader, left)
            for audience, (view, change) in fresh.items():
                if audience in self._groups:
                    self._show(self._groups[audience], view, change)
            for reader, _, audience in moves:
                self._place(reader, audience, fresh[audience][0] if audience in fresh else None)
            # Those that came meanwhile found no catalogue, when this is the first one.
            for audience, group in list(self._groups.items()):
                if audience not in befores:
                    await self._first(audience, group)
            took = perf_counter() - started
            # Beside the event loop: of what was not counted before, each model is looked at.
            counts = await asyncio.to_thread(catalogue.counts)
            self._metrics.published(catalogue.generation, counts, took)

    def _moves(self, catalogue: Catalogue) -> list[tuple[Reader, Audience, Audience]]:
        """Find the readers that a catalogue makes a part of another audience than the one they are in.

        Whose gateway is gone, and who has no other, stays: it keeps its listeners, and follows in all else.
        """
        moves = []
        for audience, group in self._groups.items():
            for reader in group.readers:
                other = reader.audience_in(catalogue)
                known = {audience.gateway, other.gateway} & catalogue.gateways.keys()
                if other != audience and (known or group.view is None):
                    moves.append((reader, audience, other))
        return moves

    def _place(self, reader: Reader, audience: Audience, view: View | None) -> None:
        group = self._groups.setdefault(audience, _Group(view))
        group.readers.add(reader)
        reader.move(audience)
        if group.view is not None:
            reader.show(group.view, None)

    async def _look_all(
        self, catalogue: Catalogue, befores: Mapping[Audience, View | None], prepared: Sights
    ) -> Sights:
        sights = {
            audience: sight
            for audience, sight in prepared.items()
            if audience in befores and sight.before is befores[audience]
        }
        missing = {audience: view for audience, view in befores.items() if audience not in sights}
        if missing:
            sights |= await asyncio.to_thread(self._outlook.look_all, catalogue, missing, self.catalogue)
        for audience, sight in sights.items():
            if sight.before is not None and audience.gateway not in catalogue.gateways:
                _warn_of_end(audience, sight.view or sight.before)
        return sights

    def _show(self, group: _Group, view: View, change: Diff | None) -> None:
        group.view = view
        for reader in list(group.readers):
            reader.show(view, change)

    async def attach(self, reader: Reader, audience: Audience) -> bool:
        """Show a reader its audience's view, now and from now on. Returns whether there is one yet."""
        group = self._groups.setdefault(audience, _Group())
        group.readers.add(reader)
        if group.view is None and self.catalogue is not None:
            async with self._writing:
                await self._first(audience, group)
        elif group.view is not None:
            reader.show(group.view, None)
        return group.view is not None

    async def _first(self, audience: Audience, group: _Group) -> None:
        catalogue = self.catalogue
        if group.view is None and catalogue is not None:
            sight = await asyncio.to_thread(self._outlook.look, catalogue, audience, None, None)
            if sight.view is not None:
                self._show(group, sight.view, None)

    def detach(self, reader: Reader, audience: Audience) -> None:
        """Forget a reader; an audience without readers costs nothing."""
        group = self._groups.get(audience)
        if group is not None:
            group.readers.discard(reader)
            if not group.readers:
                del self._groups[audience]

    def knows(self, type_url: str, name: str) -> bool:
        """Say whether the fleet, or one of its gateways, has a resource of this name."""
        catalogue = self.catalogue
        if catalogue is None:
            return False
        return any(
            name in each.get(type_url, {}) for each in (catalogue.shared, *catalogue.gateways.values())
        )

    def identities(self, gateway: str) -> frozenset[str]:
        """Return the certificate names that a gateway lists; of one that is gone those it listed last.

        Its nodes still have what was its own, so nobody else may become one.
        """
        return self._identities.get(gateway, frozenset())

    def gateways(self) -> tuple[str, ...]:
        """Return the names of the gateways there are."""
        return tuple(sorted(self.catalogue.gateways)) if self.catalogue is not None else ()
