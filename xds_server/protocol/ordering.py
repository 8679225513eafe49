"""Make before break, across the types that a node is sent."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, inf
from typing import Final

from xds_server.protocol.channel import Channel
from xds_server.protocol.company import Company
from xds_server.protocol.timing import Timing
from xds_server.protocol.types import (
    CLUSTER,
    ENDPOINT,
    EXTENSION,
    LISTENER,
    REFERRERS,
    ROUTE,
    SCOPE,
    SECRET,
)
from xds_server.snapshot import Resource, View

_REMOVED_AFTER: Final[Mapping[str, tuple[str, ...]]] = {
    ROUTE: (LISTENER, SCOPE),
    ENDPOINT: (CLUSTER,),
    SECRET: (CLUSTER, LISTENER),
}
"""Types whose removals wait until the client has settled what refers to them; clusters have another rule."""


class Ordering:
    """Decides what waits, from the state of all types on all streams of a node.

    - What refers to a cluster (`Resource.needs`) is sent when the client has acknowledged the cluster. Routes
      are not warmed: one that comes early answers 503.
    - Where each type has streams of its own, Envoy acknowledges a cluster at once, and uses it when it has the
      endpoints: what refers to it waits until these are acknowledged, too.
    - A cluster is taken away when nothing that refers to it is held, in flight or refused any more, and a
      grace period after.
    - Other removals wait until the types that refer to theirs are quiet.

    `own` are the channels of the stream that asks, `company` those of all streams of its node. No wait for an
    acknowledgement is without bound, except removals, which a silent client can do without.
    """

    def __init__(self, own: Mapping[str, Channel], company: Company, timing: Timing) -> None:
        self.view: View | None = None
        """What there is, for the stream that asks."""
        self.expected: set[str] = set()
        """Endpoints that something waits for: the stream is to look again when they are acknowledged."""
        self._own = own
        self._company = company
        self._timing = timing

    def waits(self, channel: Channel, resource: Resource, now: float) -> float | None:
        """Return since when a resource waits for a cluster that it refers to; `None`: it need not wait.

        Endless (`math.inf`) is the wait for a refused cluster: it counts from when that is sent again.
        """
        if not resource.needs:
            return None
        known = channel.blocked.get(resource.name, inf)
        since = now if known == inf else known
        # Who asks for it may have lost what it had.
        replaces = channel.keeps(resource.name) and resource.name not in channel.asked
        refused = False
        clusters = self._company.of(CLUSTER)
        if self._company.several and not clusters and channel.may_have(resource.name):
            # It has something that works, and its stream of clusters is on its way back.
            return since if now < since + self._timing.cluster_ack else None
        for each in clusters:
            if len(clusters) > 1 and self._silent(each, now):
                # Of several streams one may be of a client that is gone, and nobody noticed yet.
                continue
            missing = [
                name for name in resource.needs if not each.keeps(name) and each.subscription.wants(name)
            ]
            if now < self._patience(since, each) and any(_on_its_way(each, name) for name in missing):
                return since
            # A refused cluster holds back what is to replace something good, but not a first answer: routes
            # to the other clusters in it are better than none.
            refused |= replaces and any(
                name in each.refusals and not _on_its_way(each, name) for name in missing
            )
        if refused:
            return inf
        return since if self._lacks_endpoints(channel, resource, since, now) else None

    def _lacks_endpoints(self, channel: Channel, resource: Resource, since: float, now: float) -> bool:
        """Say whether to wait for endpoints, and which."""
        view, endpoints = self.view, self._company.of(ENDPOINT)
        clusters = self._company.of(CLUSTER)
        if not (self._company.several and view and clusters):
            return False
        if not (endpoints or channel.may_have(resource.name)):
            return False
        if now >= self._patience_for_endpoints(since):
            return False
        for name in resource.needs:
            wanted = view.has(ENDPOINT, name) and any(each.keeps(name) for each in clusters)
            if wanted and not any(each.keeps(name) for each in endpoints):
                self.expected.add(name)
                return True
        return False

    def _silent(self, clusters: Channel, now: float) -> bool:
        return clusters.flight is not None and now >= clusters.flight.at + self._timing.cluster_ack

    def leaves(self, cluster: str) -> bool:
        """Say whether this cluster is one of those that stay until nothing leads to them."""
        return any(cluster in clusters.leaving for clusters in self._company.of(CLUSTER))

    def released(self, channel: Channel, now: float) -> frozenset[str]:
        """Return those of `channel.leaving` whose time has come."""
        if not channel.leaving:
            return frozenset()
        if channel.type_url == CLUSTER:
            return self._released_clusters(channel, now)
        if channel.type_url == EXTENSION:
            # Connections that a listener's older version still drains would answer 500 without it. The client stops
            # asking for it when the last of them has ended.
            return frozenset()
        waits_for = _REMOVED_AFTER.get(channel.type_url, ())
        if all(other.quiet for each in waits_for for other in self._company.of(each)):
            return frozenset(channel.leaving)
        return frozenset()

    def _released_clusters(self, channel: Channel, now: float) -> frozenset[str]:
        pinned = self._pinned()
        released = set()
        for name, free_since in channel.leaving.items():
            if pinned is None or name in pinned:
                channel.leaving[name] = None
                continue
            since = now if free_since is None else free_since
            channel.leaving[name] = since
            if now >= self._leaves_at(name, since):
                released.add(name)
        return frozenset(released)

    def _leaves_at(self, cluster: str, since: float) -> float:
        over, tick = since + self._grace(cluster), self._timing.cluster_tick
        return ceil(over / tick) * tick if tick else over

    def _grace(self, cluster: str) -> float:
        """Return how long a cluster stays that nothing refers to.

        Who comes back tells its clusters before its routes: those in reserve stay at least until it could tell.
        """
        told = self._company.of(ROUTE) or self.view is None or not self.view.reserves(CLUSTER, cluster)
        grace = self._timing.cluster_grace
        return grace if told else max(grace, self._timing.cluster_ack)

    def _pinned(self) -> set[str] | None:
        """Return the clusters that something unsettled may still refer to; `None`: it might be any."""
        pinned: set[str] = set()
        for type_url in REFERRERS:
            for channel in self._company.of(type_url):
                if not _pin(channel, pinned):
                    return None
        return pinned

    def expire(self, now: float) -> None:
        """Have what waited long enough looked at again."""
        for channel in self._own.values():
            if channel.blocked:
                blocked = channel.blocked.items()
                channel.unblock(
                    [name for name, since in blocked if now >= min(self._patiences(since), default=inf)]
                )

    def _patience(self, since: float, clusters: Channel) -> float:
        """Return until when something blocked waits, counted from the clusters in flight if they went later."""
        sent = clusters.flight.at if clusters.flight is not None else since
        return max(since, sent) + self._timing.cluster_ack

    def _patiences(self, since: float) -> list[float]:
        found = [self._patience(since, clusters) for clusters in self._company.of(CLUSTER)]
        if self._company.several:
            found += [since + self._timing.cluster_ack, self._patience_for_endpoints(since)]
        return found

    def _patience_for_endpoints(self, since: float) -> float:
        accepted = [each.last_accepted.at for each in self._company.of(CLUSTER) if each.last_accepted]
        begins = min(max([since, *accepted]), since + self._timing.cluster_ack)
        return begins + self._timing.endpoints_ack

    def next_deadline(self, now: float) -> float | None:
        """Return when, after `now`, something that waits will have waited long enough, if ever."""
        deadlines = []
        for channel in self._own.values():
            if channel.blocked and channel.flight is None:
                deadlines += [until for since in channel.blocked.values() for until in self._patiences(since)]
        clusters = self._own.get(CLUSTER)
        if clusters is not None and clusters.leaving and clusters.flight is None:
            free = [(name, since) for name, since in clusters.leaving.items() if since is not None]
            deadlines += [self._leaves_at(name, since) for name, since in free]
        return min((each for each in deadlines if now < each < inf), default=None)


def _on_its_way(clusters: Channel, name: str) -> bool:
    flight = clusters.flight
    sent = flight is not None and name in flight.sent
    # Who is merely suspected is sent again in a moment.
    return clusters.fresh or sent or name in clusters.dirty or name in clusters.inquiry


def _pin(channel: Channel, pinned: set[str]) -> bool:
    """Add the clusters that a channel may still need; false when it might need any."""
    if channel.fresh or channel.parked:
        return False
    if channel.quiet:
        return True
    unsettled = channel.dirty | channel.blocked.keys() | channel.leaving.keys() | channel.refusals.keys()
    unsettled |= channel.doubted.keys()
    flight = channel.flight
    if flight is not None:
        unsettled |= flight.sent.keys() | set(flight.removed)
        for resource in flight.sent.values():
            pinned.update(resource.clusters)
    for refusal in channel.refusals.values():
        pinned.update(refusal.resource.clusters)
    for doubts in channel.doubted.values():
        pinned.update(*doubts.values())
    for name in unsettled:
        held = channel.held.get(name)
        if name in channel.strange or (held is None and not channel.told_what_is_held):
            return False
        if held is not None:
            pinned.update(held.clusters)
    return True
