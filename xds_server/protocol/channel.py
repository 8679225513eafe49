"""One resource type on one stream: what is asked for, held by the client, on its way, or waiting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from typing import Final

from xds_server.protocol.following import Following
from xds_server.protocol.gate import Gate
from xds_server.protocol.inquiry import Inquiry
from xds_server.protocol.message import Accepted, Event, Refused, Response
from xds_server.protocol.record import Flight, Record
from xds_server.protocol.refusal import Refusal, charge, clean, culprits
from xds_server.protocol.subscription import Change, Subscription
from xds_server.protocol.types import WILDCARD
from xds_server.snapshot import Resource, View

_DOUBTS: Final = 16
"""Versions remembered of a name that are refused with others, one after the other: a bound, not to be met."""


class Channel(Record, ABC):
    """State of one type on one stream. At most one response is in flight.

    What changes meanwhile is only a name in `dirty`: bounded by the number of names, and the latest bytes
    win, because bodies are looked up when a response is made.
    """

    told_what_is_held: bool
    """Whether the variant lets a client say, on a new stream, what it holds from before."""

    def __init__(self, type_url: str) -> None:
        super().__init__()
        self.type_url = type_url
        self.subscription = Subscription(wildcard_type=type_url in WILDCARD)
        self.following = Following()
        """What of the reserve is part of everything for this client: clusters that its routes lead to."""
        self.held: dict[str, Resource] = {}
        """Accepted by the client."""
        self.strange: set[str] = set()
        """Names held in a version that this server does not know: only name and version are true."""
        self.doubted: dict[str, dict[str, tuple[str, ...]]] = {}
        """Names that the client may hold, or have lost, by refused responses: the clusters that these versions refer
        to. Until it accepts one."""
        self.flight: Flight | None = None
        self.nonce = ""
        """Of the last response; empty before the first one."""
        self.fresh = False
        """Everything asked for is to be looked at, once there is a view."""
        self.parked = False
        """The first answer is made but for clusters that the client does not have yet."""
        self.dirty: set[str] = set()
        """Names to look at when the next response is made."""
        self.asked: set[str] = set()
        """Of these, names to send (or to call missing) even if nothing changed."""
        self.blocked: dict[str, float] = {}
        """Names that wait for their clusters, and since when; endless: until one of them is repaired."""
        self.leaving: dict[str, float | None] = {}
        """Gone, but still held by the client: since when nothing refers to them (`None`: something does)."""
        self.refusals: dict[str, Refusal] = {}
        self.restored: frozenset[str] = frozenset()
        """Names in `flight` with what the client accepted, which replaces what it refused and may have in use."""
        self.inquiry = Inquiry()
        """Into which of several `refusals` are deserved, while nothing else is to be sent."""

    @property
    def waiting(self) -> bool:
        """Say whether there is something to look at."""
        return bool(self.dirty or self.fresh or self.leaving or self.inquiry)

    @property
    def in_step(self) -> bool:
        """Say whether the client accepted all there is. What is leaving does not count."""
        return not (self.dirty or self.fresh or self.flight or self.blocked or self.refusals)

    @property
    def quiet(self) -> bool:
        """Say whether the client is known to hold all there is, and nothing else."""
        return self.in_step and not (self.leaving or self.doubted)

    def first_look(self) -> Collection[str] | None:
        """Return the names of which the next response needs the bytes; `None`: all of the type."""
        if not self.told_what_is_held or self.subscription.wildcard:
            return None  # the version of a state-of-the-world answer is that of all
        return self.subscription.names

    def note(self, names: frozenset[str]) -> None:
        """Take notice that these names changed."""
        self.dirty |= names if self.subscription.wildcard else names & self.subscription.names

    def note_reserve(self, names: frozenset[str]) -> None:
        """Take notice that these names changed in the reserve, or went there or came from there."""
        self.dirty |= self.subscription.names & names
        self.dirty |= self.following.among(names)
        self.dirty |= self.held.keys() & names

    def find(self, view: View, name: str) -> Resource | None:
        """Look up what the client is to have under a name: `None` if there is nothing, or nothing for it."""
        if not self.subscription.wants(name):
            return None
        if view.reserves(self.type_url, name) and not (
            name in self.following or name in self.subscription.names
        ):
            return None
        return view.get(self.type_url, name)

    def ask(self, names: Iterable[str]) -> None:
        """Have these names sent even if unchanged, as far as they are asked for."""
        wanted = {name for name in names if self.subscription.wants(name)}
        self.asked |= wanted
        self.dirty |= wanted

    def unblock(self, names: Collection[str]) -> None:
        """Look again at names that waited."""
        self.dirty.update(names)

    def respond(self, view: View, gate: Gate, nonce: str, now: float) -> Response | None:
        """Make the response that is due, if there is anything to say. Not to be called with one in flight."""
        flight = self.make(view, gate, nonce, now)
        # Suspects that wait for their clusters are not to go with the next ones: all of them would be refused again.
        while flight is None and not self.asked & self.blocked.keys():
            suspects = self.inquiry.next(lambda name: self._suspected(name, view))
            if not suspects:
                break
            self.ask(suspects)
            flight = self.make(view, gate, nonce, now)
        self.fresh = False
        if flight is None:
            return None
        self.flight, self.nonce = flight, nonce
        self.record_sent(flight, view.generation)
        ordered = tuple(flight.sent[name] for name in sorted(flight.sent))
        return Response(self.type_url, nonce, flight.version, ordered, flight.removed)

    def _suspected(self, name: str, view: View) -> bool:
        """Say whether a refusal is still unproven, and of what should be sent."""
        refusal, resource = self.refusals.get(name), self.find(view, name)
        if refusal is None or resource is None or refusal.named:
            return False
        return resource.version == refusal.resource.version

    @abstractmethod
    def make(self, view: View, gate: Gate, nonce: str, now: float) -> Flight | None:
        """Collect what the next response holds; `None` when there is nothing to say."""

    def settle(self, error: str | None, version: str, now: float) -> Event | None:
        """Take the client's answer to the response in flight."""
        flight, self.flight = self.flight, None
        if flight is None:
            return None
        seconds = now - flight.at
        if error is None:
            self.accepted += 1
            self._take(flight, now)
            return Accepted(self.type_url, flight.nonce, flight.version, len(flight.sent), seconds)
        text = clean(error)
        self.record_refused(flight, text, now)
        if version == flight.version != self.accepted_version:
            # Accepted with a complaint: gRPC uses the good part of a response and refuses the rest; Envoy can hold an
            # error back until its answer to a later response. What it names is refused, and nothing is rolled back.
            blamed = culprits(text, [name for name in flight.sent if not self._gave_back(flight, name)])
            refusals = charge(flight, blamed, self.refusals, text, now, named=True)
            self._take(flight, now)
            self.refusals.update(refusals)
        else:
            # What it had before is not what it refuses, though its words may mention it.
            blamed = culprits(text, flight.changed)
            suspects = blamed or flight.changed
            named = bool(blamed) or len(suspects) == 1
            refusals = charge(flight, suspects, self.refusals, text, now, named=named)
            self._refuse(flight, refusals, now)
            self._inquire(refusals)
        ordered = tuple(refusals[name] for name in sorted(refusals))
        return Refused(self.type_url, flight.nonce, flight.version, text, ordered, seconds)

    def _gave_back(self, flight: Flight, name: str) -> bool:
        """Say whether the client got back what it had before, of a name that it refused: no complaint is of that."""
        refusal, resource = self.refusals.get(name), flight.sent[name]
        mended = refusal is not None and refusal.resource.version != resource.version
        return mended and name not in flight.changed

    def _take(self, flight: Flight, now: float) -> None:
        self.accept(flight)
        self.record_accepted(flight, now)
        self.date(flight, self.held, now)

    def _refuse(self, flight: Flight, refusals: Mapping[str, Refusal], now: float) -> None:
        innocent = flight.changed - refusals.keys()
        for name in innocent:
            self.refusals.pop(name, None)
        self.refusals.update(refusals)
        for name in flight.changed:
            self._doubt(flight.sent[name], guilty=name in refusals and refusals[name].named)
        self.spare(flight, innocent)
        self.date(flight, self.held, now)
        for name in refusals:
            if not self.subscription.wants(name):
                self.forget(name)

    def _doubt(self, resource: Resource, *, guilty: bool) -> None:
        """Take note that the client may hold this as a response brought it that it refused; not if it is to blame."""
        name, version = resource.name, resource.version
        if not guilty:
            if self.subscription.wants(name):
                doubts = self.doubted.setdefault(name, {})
                doubts[version] = resource.clusters
                if len(doubts) > _DOUBTS:
                    del doubts[next(iter(doubts))]
        elif version in (doubts := self.doubted.get(name, {})):
            del doubts[version]
            if not doubts:
                del self.doubted[name]

    @abstractmethod
    def accept(self, flight: Flight) -> None:
        """Take note that the client applied a response."""

    @abstractmethod
    def spare(self, flight: Flight, innocent: Collection[str]) -> None:
        """Deal with the rest of a refused response: what changed, and the client did not complain of."""

    def _inquire(self, refusals: Mapping[str, Refusal]) -> None:
        """Have those who may be innocent tried; all at once when somebody else was known to be guilty."""
        suspects = [name for name, refusal in refusals.items() if not refusal.named]
        if suspects and self.may_part(refusals):
            if len(suspects) < len(refusals):
                self.inquiry.retry(suspects)
            else:
                self.inquiry.open(suspects)

    def may_part(self, _suspects: Iterable[str]) -> bool:
        """Say whether some of what was refused can be sent without taking the rest from the client."""
        return True

    @abstractmethod
    def keeps(self, name: str) -> bool:
        """Say whether the client has a resource, in whichever version, and is not about to lose it."""

    def passes(self, resource: Resource, gate: Gate, now: float) -> bool:
        """Say whether a resource is to be sent now: the client should have it, and need not wait for others."""
        since = gate.waits(self, resource, now) if (news := self.news(resource.name, resource)) else None
        if since is None:
            self.blocked.pop(resource.name, None)
            return news
        self.blocked[resource.name] = since
        return False

    def may_have(self, name: str) -> bool:
        """Say whether the client has, or may have from before, some version of a resource."""
        return name in self.held

    def news(self, name: str, resource: Resource) -> bool:
        """Say whether a client should be sent this resource."""
        if name in self.asked:
            return True
        refusal = self.refusals.get(name)
        if refusal is not None:
            return refusal.resource.version != resource.version
        held = self.held.get(name)
        return held is None or held.version != resource.version or name in self.doubted

    def apply(self, change: Change) -> None:
        """Follow a change of the subscription."""
        if change.opened:
            self.fresh = True
        self.ask(change.asked)
        if change.closed:
            known = self.held.keys() | self.leaving.keys() | self.refusals.keys() | self.doubted.keys()
            for name in (known | self.dirty | self.blocked.keys()) - self.subscription.names:
                self.forget(name)
        for name in change.dropped:
            if not self.subscription.wildcard:
                self.forget(name)

    def forget(self, name: str) -> None:
        """Drop what is kept about a name that is no longer asked for."""
        self.held.pop(name, None)
        self.receipts.pop(name, None)
        self.strange.discard(name)
        self.doubted.pop(name, None)
        self.dirty.discard(name)
        self.asked.discard(name)
        self.blocked.pop(name, None)
        self.leaving.pop(name, None)
        self.refusals.pop(name, None)
