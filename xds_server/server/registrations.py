"""Registrations: who registered, checked against what policies allow, kept, and forgotten when not heard of."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Final

import structlog

from xds_server.archive import Journal
from xds_server.graph import Deployment, Endpoint, Graph, Registered, Removal, Revision, build_registered
from xds_server.registration import Lease, Registry, Slot
from xds_server.server.attention import Attention
from xds_server.server.memory import Memory
from xds_server.server.metrics import Metrics
from xds_server.server.readiness import Readiness
from xds_server.server.registered_address import read_address
from xds_server.shards import EMPTY, Shards

log = structlog.get_logger("fairlead.registrations")

EVERY: Final = 0.25
"""Seconds between two looks for leases that are over."""


class UnknownSlotError(Exception):
    """There is no such revision, or backends cannot register for it: why."""


class MisplacedError(Exception):
    """The place, or its hardware there, does not exist: why."""


class ForbiddenError(Exception):
    """Policy does not allow the backend to be where it is; ``removals`` say which and why."""

    def __init__(self, removals: tuple[Removal, ...]) -> None:
        super().__init__("; ".join(map(str, removals)))
        self.removals = removals


class Registrations:
    """All that is registered. ``on_move`` is called when it is different. ``now`` is a clock in seconds.

    Without a ``journal``, whoever is there registers anew with each process. What was kept has its whole time again: a
    restart takes nobody out who is still there. Nor does time in which nobody could be heard, since the process was
    stopped or held up. ``local`` ones may be on loopback.
    """

    def __init__(
        self,
        metrics: Metrics,
        readiness: Readiness,
        journal: Journal | None = None,
        now: Callable[[], float] = monotonic,
        *,
        local: bool = False,
    ) -> None:
        self.on_move: Callable[[], None] = lambda: None
        self.registered: Mapping[str, tuple[tuple[str, str, tuple[Registered, ...]], ...]] = {}
        """By path, by environment and revision. Replaced, never changed: another thread reads it."""
        self._metrics = metrics
        self.memory = Memory("registrations", "have to hear of all anew", readiness, journal, now)
        self._local = local
        self._attention = Attention(now, 2 * EVERY)
        self._registry = Registry()
        self._graph = Graph()
        self._endpoints: Shards[Endpoint] = EMPTY
        self._recall()

    def _recall(self) -> None:
        entries = self.memory.recall()
        # The file may have been edited by hand, and what is registered must never stop what is published.
        for slot, reason in self._registry.read(entries, self._attention.look(), self.read_address):
            words = "a registered backend that is kept cannot be used; it is left out"
            log.warning(words, revision=slot, reason=reason)
        self._publish()

    def read_address(self, text: str) -> str:
        """The `host:port` of a backend, of an address that may be registered here. Raises ``AddressError``."""
        return read_address(text, local=self._local)

    def follow(self, graph: Graph) -> None:
        """Take note of the graph that policies make. What is registered for a revision that is gone is forgotten."""
        changed, gone = graph.endpoints.since(self._endpoints)
        self._graph, self._endpoints = graph, graph.endpoints
        if changed or gone:
            slots = frozenset(slot for slot in self._registry.list() if self._find(slot) is not None)
            for slot in self._registry.keep(slots):
                log.info("nothing can register for it any more", revision=str(slot))
            self._publish()

    @property
    def ready(self) -> bool:
        """Whether it is known by now what policies declare."""
        return bool(self._graph.edges)

    def _find(self, slot: Slot) -> tuple[Deployment, Revision, float] | None:
        endpoint = self._graph.endpoints.get(slot.path)
        deployment = endpoint.deployment(slot.environment) if endpoint is not None else None
        if deployment is None:
            return None
        named = next((each for each in deployment.revisions if each.name == slot.revision), None)
        if named is None or named.registration is None:
            return None
        return deployment, named, named.registration

    def register(self, slot: Slot, asked: Registered, ttl: float | None) -> Lease:
        """Register a backend, or renew its lease. Returns what it has now.

        Raises ``UnknownSlotError``, ``MisplacedError``, ``ForbiddenError``, and ``FullError``.
        """
        found = self._find(slot)
        if found is None:
            raise UnknownSlotError(f"{slot} is no revision with `registration`")
        deployment, _, longest = found
        backend = build_registered(asked, self._graph.places)
        if backend is None:
            hardware = f" with the flavor {asked.flavor}" if asked.flavor is not None else ""
            raise MisplacedError(f"there is no location {asked.location}{hardware}")
        removals = deployment.placement.find_removals(backend.place, backend.flavor)
        if removals:
            raise ForbiddenError(removals)
        seconds = longest if ttl is None else min(ttl, longest)
        authority = backend.address.authority
        lease = Lease(asked.location, authority, asked.flavor, asked.weight, seconds)
        if self._registry.put(slot, lease, self._attention.look()):
            log.info("registered", revision=str(slot), address=authority, location=asked.location)
            self._publish()
        return lease

    def remove(self, slot: Slot, location: str, authority: str) -> bool:
        """Forget a backend that says goodbye; returns whether it was registered."""
        removed = self._registry.remove(slot, location, authority)
        if removed:
            log.info("registered no more", revision=str(slot), address=authority, location=location)
            self._publish()
        return removed

    async def run(self) -> None:
        """Forget who is not heard of any more, until cancelled."""
        while True:
            self.expire()
            await asyncio.sleep(EVERY)

    def expire(self) -> None:
        """Forget those whose time is over."""
        over = self._registry.expire(self._attention.look())
        for slot, lease in over:
            log.warning(
                "registered backend is not heard of any more",
                revision=str(slot),
                address=lease.authority,
                location=lease.location,
                ttl=lease.ttl,
            )
        if over:
            self._publish()

    def _publish(self) -> None:
        told: dict[str, list[tuple[str, str, tuple[Registered, ...]]]] = defaultdict(list)
        leases = self._registry.list()
        for slot, each in leases.items():
            those = tuple(Registered(one.location, one.flavor, one.authority, one.weight) for one in each)
            told[slot.path].append((slot.environment, slot.revision, those))
        registered = {path: tuple(each) for path, each in told.items()}
        self._metrics.registered.set(sum(map(len, leases.values())))
        if registered != self.registered:
            self.registered = registered
            self.on_move()

    async def keep(self) -> None:
        """Write down what is registered, for the next process."""
        await self.memory.keep(self._registry.write)

    def describe(self) -> list[dict[str, Any]]:
        """Describe all that is registered, with the seconds that each lease has left."""
        now = self._attention.look()
        return [
            {
                "path": slot.path,
                "environment": slot.environment,
                "revision": slot.revision,
                "location": lease.location,
                "flavor": lease.flavor,
                "address": lease.authority,
                "weight": lease.weight,
                "ttl": lease.ttl,
                "left": round(self._registry.remaining(slot, lease, now), 1),
            }
            for slot, leases in self._registry.list().items()
            for lease in leases
        ]
