"""The streams of the two variants: how each begins and goes on."""

from __future__ import annotations

from collections.abc import Collection

from xds_server.protocol.delta import DeltaChannel
from xds_server.protocol.message import Event, Request
from xds_server.protocol.sotw import SotwChannel
from xds_server.protocol.stream import Stream
from xds_server.protocol.types import CLUSTER, ENDPOINT, ROUTE
from xds_server.snapshot import Diff, View, diff


class DeltaStream(Stream[DeltaChannel]):
    """A stream of the incremental variant."""

    def _open(self, request: Request) -> None:
        channel = DeltaChannel(request.type_url)
        clusters = self._company.of(CLUSTER) if request.type_url == ENDPOINT else ()
        # Endpoints asked for before clusters: a cluster is still warming from an earlier stream, and Envoy,
        # although it holds its endpoints, waits for them to be sent.
        trust = request.type_url != ENDPOINT or bool(clusters)
        warming = {name for each in clusters if each.flight is not None for name in each.flight.sent}
        channel.open(request, trust=trust, unsettled=warming, inherit=self.inherit)
        self._add(channel)
        if request.type_url in (CLUSTER, ROUTE):
            self._follow_all()

    def estate(self) -> dict[str, frozenset[str]]:
        """As `Stream.estate`."""
        return {type_url: channel.estate() for type_url, channel in self.channels.items()}

    def _take(self, channel: DeltaChannel, request: Request, now: float) -> Event | None:
        event = channel.take(request, now)
        if request.type_url == ROUTE:
            self._follow({*request.subscribe, *request.unsubscribe})
        return event

    def on_view(self, view: View, change: Diff | None = None) -> None:
        """As `Stream.on_view`; clusters in reserve follow the routes as they are now."""
        before = self.view
        if before is not None and change is None:
            change = diff(before, view)
        super().on_view(view, change)
        if before is None or before.has_reserve is not view.has_reserve:
            self._follow_all()
        elif change is not None and ROUTE in self.channels:
            self._follow(self.channels[ROUTE].subscription.names & change.names(ROUTE))

    def _follow_all(self) -> None:
        clusters, routes = self.channels.get(CLUSTER), self.channels.get(ROUTE)
        if clusters is not None:
            clusters.following.clear()
        if routes is not None:
            self._follow(routes.subscription.names)

    def _follow(self, routes: Collection[str]) -> None:
        """Have clusters in reserve looked at: those to which these routes lead now, and those to which they led.

        What is followed are the routes as they are to be. One that the client still has from before, or may have, keeps
        its clusters in place until that is settled, as it does those that are gone (`Ordering`).
        """
        clusters, view = self.channels.get(CLUSTER), self.view
        if clusters is None or view is None or not view.has_reserve:
            return
        found = {name: self.channels[ROUTE].find(view, name) for name in routes}
        leads = {name: route.clusters if route is not None else () for name, route in found.items()}
        clusters.dirty |= clusters.following.update(leads)


class SotwStream(Stream[SotwChannel]):
    """A stream of the state-of-the-world variant."""

    def _open(self, request: Request) -> None:
        channel = SotwChannel(request.type_url)
        channel.open(request)
        self._add(channel)

    def _take(self, channel: SotwChannel, request: Request, now: float) -> Event | None:
        return channel.take(request, now)
