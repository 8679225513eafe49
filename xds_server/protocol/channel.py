"""One resource type on one stream: what is asked for, held by the client, on its way, or waiting."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from xds_server.protocol.message import Accepted, Event, Refused, Response
from xds_server.protocol.refusal import Refusal, clean, culprits
from xds_server.protocol.standing import Mark, Receipt
from xds_server.protocol.subscription import Change, Subscription
from xds_server.protocol.types import WILDCARD
from xds_server.snapshot import Resource, View


@dataclass(frozen=True, slots=True)
class Flight:
    """A response sent and not yet answered."""

    nonce: str
    version: str
    sent: dict[str, Resource]
    removed: tuple[str, ...]
    changed: frozenset[str]
    """Names in `sent` that the client may not have had with these bytes."""
    at: float


class Gate(Protocol):
    """Decides what has to wait for other types (`Ordering` is the one in use)."""

    def blocks(self, channel: Channel, resource: Resource, now: float) -> bool:
        """Say whether the client must be told of something else before this resource."""

    def released(self, channel: Channel, now: float) -> frozenset[str]:
        """Return those of `channel.leaving` that may be taken from the client now."""


class Channel(ABC):
    """State of one type on one stream. At most one response is in flight.

    What changes meanwhile is only a name in `dirty`: bounded by the number of names, and the latest bytes
    win, because bodies are looked up when a response is made.
    """

    told_what_is_held: bool
    """Whether the variant lets a client say, on a new stream, what it holds from before."""

    def __init__(self, type_url: str) -> None:
        self.type_url = type_url
        self.subscription = Subscription(wildcard_type=type_url in WILDCARD)
        self.held: dict[str, Resource] = {}
        """Accepted by the client."""
        self.strange: set[str] = set()
        """Names held in a version that this server does not know: only name and version are true."""
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
        """Names that wait for their clusters, and since when."""
        self.leaving: dict[str, float | None] = {}
        """Gone, but still held by the client: since when nothing refers to them (`None`: something does)."""
        self.refusals: dict[str, Refusal] = {}
        self.receipts: dict[str, Receipt] = {}
        """Of names in `held`; not of what the client has from an earlier stream."""
        self.last_sent: Mark | None = None
        self.last_accepted: Mark | None = None
        self.last_refused: Mark | None = None
        self.accepted_version = ""
        self.sent = 0
        self.accepted = 0
        self.refused = 0

    @property
    def waiting(self) -> bool:
        """Say whether there is something to look at."""
        return bool(self.dirty or self.fresh or self.leaving)

    @property
    def in_step(self) -> bool:
        """Say whether the client accepted all there is. What is leaving does not count."""
        return not (self.dirty or self.fresh or self.flight or self.blocked or self.refusals)

    @property
    def quiet(self) -> bool:
        """Say whether the client is known to hold all there is, and nothing else."""
        return self.in_step and not self.leaving

    @property
    def synced(self) -> bool:
        """Say whether the last response was accepted (its nonce is the last one acknowledged)."""
        sent, accepted = self.last_sent, self.last_accepted
        return sent is not None and accepted is not None and sent.nonce == accepted.nonce

    def note(self, names: frozenset[str]) -> None:
        """Take notice that these names changed."""
        self.dirty |= names if self.subscription.wildcard else names & self.subscription.names

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
        self.fresh = False
        if flight is None:
            return None
        self.flight, self.nonce = flight, nonce
        self.last_sent = Mark(nonce, flight.version, now)
        self.sent += 1
        ordered = tuple(flight.sent[name] for name in sorted(flight.sent))
        return Response(self.type_url, nonce, flight.version, ordered, flight.removed)

    @abstractmethod
    def make(self, view: View, gate: Gate, nonce: str, now: float) -> Flight | None:
        """Collect what the next response holds; `None` when there is nothing to say."""

    def settle(self, error: str | None, version: str, now: float) -> Event | None:
        """Take the client's answer to the response in flight."""
        flight, self.flight = self.flight, None
        if flight is None:
            return None
        if error is None:
            self.accepted += 1
            self._take_as_accepted(flight, now)
            return Accepted(self.type_url, flight.nonce, flight.version, len(flight.sent), now - flight.at)
        self.refused += 1
        text = clean(error)
        self.last_refused = Mark(flight.nonce, flight.version, now, text)
        blamed = culprits(text, flight.sent)
        if version == flight.version != self.accepted_version:
            # Envoy can hold an error back until its answer to a later response, which it accepted.
            self._take_as_accepted(flight, now)
            refusals = {name: Refusal(flight.sent[name], text, now, flight.at) for name in blamed}
        else:
            suspects = blamed or flight.changed or flight.sent.keys()
            refusals = {
                name: Refusal(flight.sent[name], text, now, flight.at, bool(blamed) or len(suspects) == 1)
                for name in suspects
            }
            self.refusals |= refusals
            self.spare(flight, [name for name, sent in flight.sent.items() if not self._refuses(sent)])
            self._stamp(flight, now)
            for name in refusals:
                if not self.subscription.wants(name):
                    self.forget(name)
        ordered = tuple(refusals[name] for name in sorted(refusals))
        return Refused(self.type_url, flight.nonce, flight.version, text, ordered, now - flight.at)

    def _take_as_accepted(self, flight: Flight, now: float) -> None:
        self.accept(flight)
        self._stamp(flight, now)
        self.accepted_version = flight.version
        self.last_accepted = Mark(flight.nonce, flight.version, now)

    def _stamp(self, flight: Flight, now: float) -> None:
        """Date what a response brought and the client now holds."""
        receipt = Receipt(flight.at, now)
        for name, resource in flight.sent.items():
            if (name in flight.changed or name not in self.receipts) and self.held.get(name) is resource:
                self.receipts[name] = receipt
        if len(self.receipts) > len(self.held):
            for name in self.receipts.keys() - self.held.keys():
                del self.receipts[name]

    def _refuses(self, resource: Resource) -> bool:
        refusal = self.refusals.get(resource.name)
        return refusal is not None and refusal.resource.version == resource.version

    @abstractmethod
    def accept(self, flight: Flight) -> None:
        """Take note that the client applied a response."""

    @abstractmethod
    def spare(self, flight: Flight, innocent: Collection[str]) -> None:
        """Deal with the rest of a refused response: what the client did not complain of."""

    @abstractmethod
    def keeps(self, name: str) -> bool:
        """Say whether the client has a resource, in whichever version, and is not about to lose it."""

    def news(self, name: str, resource: Resource) -> bool:
        """Say whether a client should be sent this resource."""
        if name in self.asked:
            return True
        refusal = self.refusals.get(name)
        if refusal is not None:
            return refusal.resource.version != resource.version
        held = self.held.get(name)
        return held is None or held.version != resource.version

    def apply(self, change: Change) -> None:
        """Follow a change of the subscription."""
        if change.opened:
            self.fresh = True
        self.ask(change.asked)
        if change.closed:
            for name in [name for name in self.held if name not in self.subscription.names]:
                self.forget(name)
            self.dirty &= self.subscription.names
        for name in change.dropped:
            if not self.subscription.wildcard:
                self.forget(name)

    def forget(self, name: str) -> None:
        """Drop what is kept about a name that is no longer asked for."""
        self.held.pop(name, None)
        self.receipts.pop(name, None)
        self.strange.discard(name)
        self.dirty.discard(name)
        self.asked.discard(name)
        self.blocked.pop(name, None)
        self.leaving.pop(name, None)
        self.refusals.pop(name, None)
