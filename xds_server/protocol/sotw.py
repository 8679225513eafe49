"""One resource type in the state-of-the-world variant."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set

from xds_server.protocol.channel import Channel
from xds_server.protocol.gate import Gate
from xds_server.protocol.message import Event, Request
from xds_server.protocol.record import Flight
from xds_server.protocol.types import ALONE, CLUSTER, ENDPOINT, LISTENER, WILDCARD
from xds_server.snapshot import Resource, View
from xds_server.snapshot.view import version_of

_EACH_ALONE = frozenset({CLUSTER, LISTENER})
"""Types of which Envoy applies the good resources of a response that it refuses."""


class SotwChannel(Channel):
    """Sends the full set of CDS, LDS and SRDS, where absence means removal, and only changed resources of
    the others.

    https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#state-of-the-world
    """

    told_what_is_held = False

    def __init__(self, type_url: str) -> None:
        super().__init__(type_url)
        self._full = type_url in WILDCARD
        self._each_alone = type_url in _EACH_ALONE
        self._initial_version = ""
        self._complained = False
        """The client came with a refusal from before: it may hold what was in there."""
        self._unsure = False
        """The client may hold things from before that it did not tell of; until it accepts a set."""
        self._without: Set[str] = frozenset()
        """Names refused of which the client accepted a set without them since."""

    def may_part(self, suspects: Iterable[str]) -> bool:
        """As `Channel.may_part`: a full set without something takes it away; it can have the version before."""
        return not self._full or self._may_leave_out or all(name in self.held for name in suspects)

    @property
    def _may_leave_out(self) -> bool:
        # To a client that named a resource, its absence would say that there is no such resource.
        return self.subscription.wildcard and not self._unsure

    def open(self, request: Request) -> None:
        """Take the first request of this type on the stream, whatever nonce or error it carries."""
        self.subscription.replace(request.names)
        self._initial_version = request.version
        self.accepted_version = request.version
        self._complained = request.error is not None
        self._unsure = bool(request.version) or self._complained
        self.fresh = self._full and bool(self.subscription.wildcard or self.subscription.names)
        self.ask(self.subscription.names)

    def take(self, request: Request, now: float) -> Event | None:
        """Take any later request; one with a stale nonce is as if it had not come."""
        if request.nonce and self.nonce and request.nonce != self.nonce:
            return None
        event = None
        answers = bool(request.nonce) and self.flight is not None
        if answers:
            event = self.settle(request.error, request.version, now)
        change = self.subscription.replace(request.names)
        refused = len(self.refusals)
        self.apply(change)
        # What the first answer waited for may no longer be asked for.
        self.fresh |= self.parked and bool(change)
        fewer = len(self.refusals) < refused
        if change.opened or fewer:
            self._resume(fewer=fewer)
        if not (answers or change or self._full or request.error is not None or self.flight):
            # Not an answer and nothing new in it: Envoy asks once more, for a cluster that is warming.
            self.ask(self.subscription.names)
        return event

    def make(self, view: View, gate: Gate, nonce: str, now: float) -> Flight | None:
        """Collect the full set, or the changed resources."""
        return self._whole(view, gate, nonce, now) if self._full else self._some(view, gate, nonce, now)

    def _some(self, view: View, gate: Gate, nonce: str, now: float) -> Flight | None:
        sent: dict[str, Resource] = {}
        work, self.dirty = self.dirty, set()
        for name in work:
            resource = view.get(self.type_url, name) if self.subscription.wants(name) else None
            if resource is None and name in self.asked and self.type_url == ENDPOINT and gate.leaves(name):
                # Of a cluster that stays a while the client may be waiting for the endpoints.
                resource = view.recall(ENDPOINT, name)
            if resource is None:
                # Absence says nothing in these types: the client keeps what it has until it stops asking, and what
                # that refers to has to stay.
                if name in self.held or name in self.doubted:
                    self.leaving[name] = None
                self.refusals.pop(name, None)
                self.blocked.pop(name, None)
                continue
            self.leaving.pop(name, None)
            if sent and self.type_url in ALONE:
                self.dirty.add(name)
            elif self.passes(resource, gate, now):
                sent[name] = resource
        self.asked -= sent.keys()
        if not sent:
            return None
        return Flight(nonce, view.version(self.type_url), sent, (), frozenset(sent), now)

    def _whole(self, view: View, gate: Gate, nonce: str, now: float) -> Flight | None:
        if self._unchanged_since_before(view) or not self.subscription:
            self.dirty.clear()
            self.parked = False
            return None
        if self.fresh and self._unsure and self.type_url == CLUSTER and self.subscription.wildcard:
            self._keep(view)
        first = self.fresh or self.parked
        due = first
        ready: set[str] = set()
        work, self.dirty = self.dirty, set()
        for name in work:
            resource = view.get(self.type_url, name) if self.subscription.wants(name) else None
            if resource is not None:
                self.leaving.pop(name, None)
                if self.passes(resource, gate, now):
                    ready.add(name)
                continue
            refusal = self.refusals.pop(name, None)
            self.blocked.pop(name, None)
            if name in self.held:
                self.leaving.setdefault(name, None)
                due |= name in self.asked
            else:
                # What was refused may be live all the same; a set without it takes it back.
                due |= name in self.asked or name in self.doubted
                due |= refusal is not None and name not in self._without
        for name in gate.released(self, now):
            del self.leaving[name]
            self.refusals.pop(name, None)
            due = True
        if not (due or ready):
            return None
        sent, kept = self._set(view, gate, now, ready)
        # Without what is blocked, the first full set would take things from the client that it has from
        # before.
        self.parked = first and any(name not in sent for name in self.blocked)
        if self.parked:
            return None
        self.asked &= self.blocked.keys()
        if self.fresh and not self.nonce and kept and version_of(sent.values()) == self.accepted_version:
            # The client came back with this very set, in which something stays for a while.
            self.held = dict(sent)
            self._unsure = self._complained
            return None
        self.restored = frozenset(self.doubted.keys() & kept & sent.keys())
        changed = frozenset(
            name for name, r in sent.items() if name not in kept and (self._differs(r) or self._mended(r))
        )
        return Flight(nonce, version_of(sent.values()), sent, (), changed, now)

    def _keep(self, view: View) -> None:
        """Have clusters that went not long ago leave like others, after the routes to them.

        A client that comes back from before that does not say which clusters it has, and a set without them would take
        them from it at once. To one that does not have them they do no harm.
        """
        for name, resource in view.gone(self.type_url).items():
            self.held[name] = resource
            self.leaving[name] = None

    def _unchanged_since_before(self, view: View) -> bool:
        """Say whether a client comes back with exactly what there is: then there is nothing to tell it."""
        version, self._initial_version = self._initial_version, ""
        pure = self.subscription.wildcard and not self.subscription.names
        if not (self.fresh and pure and version and version == view.version(self.type_url)):
            return False
        self.held = {resource.name: resource for resource in view.resources(self.type_url)}
        self._unsure = self._complained
        return True

    def _set(
        self, view: View, gate: Gate, now: float, ready: Collection[str]
    ) -> tuple[dict[str, Resource], set[str]]:
        """Collect the full set, and the names in it that stay as the client has them: those that wait, were
        refused or are leaving. Those in `ready` were just found to have waited long enough.

        What was refused and has no accepted version is left out, unless the client may hold a version from
        before, which a set without that name would take from it: then it is sent as it is.
        """
        if self.subscription.wildcard:
            chosen = {resource.name: resource for resource in view.resources(self.type_url)}
        else:
            found = (view.get(self.type_url, name) for name in self.subscription.names)
            chosen = {resource.name: resource for resource in found if resource is not None}
        kept = set(self.leaving)
        for name, resource in chosen.items():
            refusal = self.refusals.get(name)
            refused = refusal is not None and refusal.resource.version == resource.version
            if refusal is not None and refused and name not in self.asked:
                in_the_way = refusal.named and not self._each_alone
                if name in self.held or in_the_way or self._may_leave_out:
                    kept.add(name)
            elif name in ready or not resource.needs or not self.news(name, resource):
                continue
            elif not self.passes(resource, gate, now):
                kept.add(name)
        for name in kept:
            held = self.held.get(name)
            if held is None:
                chosen.pop(name, None)
            else:
                chosen[name] = held
        return chosen, kept

    def accept(self, flight: Flight) -> None:
        """The client holds what was sent: in the types with full sets nothing else."""
        self._unsure = False
        for name in [name for name in self.refusals if name in flight.sent]:
            if name in flight.changed or self.refusals[name].resource.version == flight.sent[name].version:
                del self.refusals[name]
        self._without = self.refusals.keys() - flight.sent.keys()
        wanted = {name: r for name, r in flight.sent.items() if self.subscription.wants(name)}
        if self._full:
            self.held = dict(wanted)
            self.doubted.clear()
        else:
            self.held.update(wanted)
            for name in flight.sent:
                self.doubted.pop(name, None)
        self._resume()

    def _resume(self, *, fewer: bool = False) -> None:
        """Inquire into those who could not be parted when they were refused, or were refused with others."""
        suspects = [name for name, refusal in self.refusals.items() if not refusal.named]
        if suspects and not self.inquiry and (fewer or self.may_part(suspects)):
            self.inquiry.retry(suspects)

    def keeps(self, name: str) -> bool:
        """As `Channel.keeps`: absence from a full set takes it away."""
        stays = not self._full or self.flight is None or name in self.flight.sent
        return name in self.held and stays

    def may_have(self, name: str) -> bool:
        """As `Channel.may_have`: it tells a version of all, and not of what."""
        return self._unsure or name in self.held

    def spare(self, flight: Flight, innocent: Collection[str]) -> None:
        """Where Envoy applies each resource for itself the rest is held; elsewhere it is sent once more."""
        if self._full:
            self._without -= flight.sent.keys()
            # Whether it lost what the set left out is not known: should that come back, it is sent.
            for name in self.held.keys() - flight.sent.keys():
                if self._each_alone:
                    del self.held[name]
                else:
                    self.doubted.setdefault(name, {})
        if self._each_alone:
            for name in innocent:
                self.held[name] = flight.sent[name]
                self.doubted.pop(name, None)
        else:
            self.dirty.update(name for name in innocent if self.subscription.wants(name))

    def _differs(self, resource: Resource) -> bool:
        held = self.held.get(resource.name)
        return held is None or held.version != resource.version

    def _mended(self, resource: Resource) -> bool:
        refusal = self.refusals.get(resource.name)
        return refusal is not None and refusal.resource.version != resource.version
