"""One resource type in the incremental variant."""

from __future__ import annotations

from collections.abc import Callable, Collection

from xds_server.protocol.channel import Channel
from xds_server.protocol.gate import Gate
from xds_server.protocol.message import Event, Request
from xds_server.protocol.record import Flight
from xds_server.protocol.types import ALONE, CLUSTER, EXTENSION
from xds_server.snapshot import Resource, View


class DeltaChannel(Channel):
    """Sends what changed and names what is gone; a name asked for that does not exist is called removed.

    https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#incremental-xds
    """

    told_what_is_held = True

    def __init__(self, type_url: str) -> None:
        super().__init__(type_url)
        self._initial: dict[str, str] = {}
        self._owed: set[str] = set()
        """Removals to ride on the next response: the client may hold the names, or not."""
        self._inherited: frozenset[str] = frozenset()
        """Perhaps held from an earlier stream, until there is a view to compare with."""
        self._empty_is_news = False
        """The client asked for everything, has nothing, and was told nothing yet."""

    def open(
        self,
        request: Request,
        *,
        trust: bool,
        unsettled: Collection[str] = (),
        inherit: Callable[[str], Collection[str]],
    ) -> None:
        """Take the first request of this type on the stream, whatever nonce or error it carries.

        `trust`: believe what the client says it holds. `unsettled`: names to send although it holds them.
        `inherit`: gives the names of this type that it perhaps holds and does not tell of.
        """
        self.subscription.update(request.subscribe, request.unsubscribe, first=True)
        self.fresh = True
        if trust:
            self._initial = dict(request.initial_versions)
        self.dirty |= self.subscription.names
        self.asked |= self.subscription.names - self._initial.keys()
        self.ask(unsettled)
        if self.subscription.wildcard:
            # What a client asks for by name it is told of in any case, and drops when it stops asking.
            self._inherited = frozenset(inherit(self.type_url))

    def estate(self) -> frozenset[str]:
        """Return the names that the client perhaps holds and, on its next stream, will not tell of."""
        if not self.subscription.wildcard:
            return frozenset()
        # The innocent half of a refused response is asked for again and is with the client meanwhile.
        names = self.refusals.keys() | self.leaving.keys() | self._inherited | self._owed | self.asked
        names |= self.doubted.keys()
        if self.flight is not None:
            names |= self.flight.sent.keys() | set(self.flight.removed)
        return frozenset(names - self.held.keys())

    def take(self, request: Request, now: float) -> Event | None:
        """Take any later request: an answer if it has the nonce in flight, a subscription always."""
        event = None
        if request.nonce and self.flight is not None and request.nonce == self.flight.nonce:
            event = self.settle(request.error, "", now)
        change = self.subscription.update(request.subscribe, request.unsubscribe, first=False)
        self.apply(change)
        # Dropping a name under a wildcard must be answered: the client no longer knows whether it has it.
        self.ask(change.dropped)
        return event

    def make(self, view: View, gate: Gate, nonce: str, now: float) -> Flight | None:
        """Collect changed resources and removed names."""
        self._empty_is_news |= self.fresh and not self._initial
        self._empty_is_news &= self.subscription.wildcard
        if self.fresh:
            self._survey(view)
        sent: dict[str, Resource] = {}
        removed: set[str] = set()
        work, self.dirty = self.dirty, set()
        for name in work:
            resource = self.find(view, name)
            if resource is not None:
                self.leaving.pop(name, None)
                if sent and self.type_url in ALONE:
                    self.dirty.add(name)
                elif self.passes(resource, gate, now):
                    sent[name] = resource
            elif view.parks(self.type_url, name):
                if self._loses(name):
                    removed.add(name)
            elif self._ends(name):
                removed.add(name)
        removed |= gate.released(self, now)
        # What something still leads to is sent to who asks for it as the client has it, if that is known.
        again = (work & self.asked & self.leaving.keys()) - removed - self.strange - self.doubted.keys()
        sent |= {name: self.held[name] for name in again if name in self.held}
        if not (sent or removed or (self._empty_is_news and not self.blocked)):
            return None
        self._empty_is_news = False
        removed |= {name for name in self._owed if self.find(view, name) is None}
        for name in removed:
            self.leaving.pop(name, None)
        self.asked -= sent.keys() | removed
        if not self.asked:
            self.asked = set()  # one that has held very many names is as slow to walk when it is empty
        changed = frozenset(sent.keys() - again)
        return Flight(nonce, str(view.generation), sent, tuple(sorted(removed)), changed, now)

    def _loses(self, name: str) -> bool:
        """Say whether the client may have a resource that is parked: it is taken away at once, whatever leads to it.

        Who asks for it by name is told nothing: neither that it is there, nor that it is not.
        """
        self.blocked.pop(name, None)
        there = name in self.held or name in self.refusals or name in self.doubted or name in self.leaving
        self.leaving.pop(name, None)
        return there

    def _ends(self, name: str) -> bool:
        """Have a name leave of which there is nothing; say whether it is to be called removed now."""
        self.blocked.pop(name, None)
        if self.type_url == EXTENSION:
            # These are never taken away, and what was refused the client does not have.
            self.refusals.pop(name, None)
        if name in self.asked and not self._stays(name):
            # Whoever asks is told at once: a cluster may be warming until it knows that it has no endpoints.
            return True
        if name in self.held or name in self.refusals or name in self.doubted:
            self.leaving.setdefault(name, None)
        return False

    def _stays(self, name: str) -> bool:
        """Say whether the client may use a cluster that is gone: it stays until nothing leads to it."""
        if self.type_url != CLUSTER or name in self._owed:
            return False
        # What was refused alone, and nothing accepted before, the client does not have.
        inherited = name in self.leaving and name not in self.refusals
        return name in self.held or name in self.doubted or inherited

    def _survey(self, view: View) -> None:
        """Compare what the client says it holds with what there is."""
        for name, version in self._initial.items():
            resource = view.get(self.type_url, name)
            if not self.subscription.wants(name):
                continue
            if resource is not None and resource.version == version:
                self.held[name] = resource
                if self.find(view, name) is None:
                    self.dirty.add(name)
            else:
                self.held[name] = Resource(self.type_url, name, version, b"")
                self.strange.add(name)
                self.dirty.add(name)
        self._initial = {}
        for name in self._inherited - self.held.keys():
            if self.subscription.wants(name) and self.find(view, name) is None:
                self.leaving.setdefault(name, None)
                if view.parks(self.type_url, name):
                    self.dirty.add(name)  # goes at once, whatever leads to it
        self._inherited = frozenset()
        if self.subscription.wildcard:
            self.dirty.update(
                resource.name
                for resource in view.resources(self.type_url)
                if self.held.get(resource.name) is not resource
            )

    def accept(self, flight: Flight) -> None:
        """The client holds what was sent, as far as it still asks for it, and no longer what was removed."""
        for name, resource in flight.sent.items():
            self.refusals.pop(name, None)
            self.doubted.pop(name, None)
            if self.subscription.wants(name):
                self.held[name] = resource
        self.strange.difference_update(flight.sent, flight.removed)
        self._owed.difference_update(flight.sent, flight.removed)
        for name in flight.removed:
            self.held.pop(name, None)
            self.receipts.pop(name, None)
            self.refusals.pop(name, None)
            self.doubted.pop(name, None)

    def spare(self, flight: Flight, innocent: Collection[str]) -> None:
        """Send the rest once more: Envoy may have stopped at the bad one, and counts none of it as held."""
        owed = {name for name in flight.removed if self.subscription.wants(name)}
        self._owed |= owed
        for name in flight.removed:
            self.refusals.pop(name, None)
        for name in owed & self.held.keys():
            self.doubted.setdefault(name, {})
        self.dirty.update(name for name in innocent if self.subscription.wants(name))

    def keeps(self, name: str) -> bool:
        """As `Channel.keeps`."""
        going = self.flight is not None and name in self.flight.removed
        return name in self.held and not going and name not in self._owed

    def forget(self, name: str) -> None:
        """As `Channel.forget`: what the client stopped asking for it drops by itself."""
        self._owed.discard(name)
        super().forget(name)
