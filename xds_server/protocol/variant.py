"""The streams of the two variants: how each begins and goes on."""

from __future__ import annotations

from xds_server.protocol.delta import DeltaChannel
from xds_server.protocol.message import Event, Request
from xds_server.protocol.sotw import SotwChannel
from xds_server.protocol.stream import Stream
from xds_server.protocol.types import CLUSTER, ENDPOINT


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

    def estate(self) -> dict[str, frozenset[str]]:
        """As `Stream.estate`."""
        return {type_url: channel.estate() for type_url, channel in self.channels.items()}

    def _take(self, channel: DeltaChannel, request: Request, now: float) -> Event | None:
        return channel.take(request, now)


class SotwStream(Stream[SotwChannel]):
    """A stream of the state-of-the-world variant."""

    def _open(self, request: Request) -> None:
        channel = SotwChannel(request.type_url)
        channel.open(request)
        self._add(channel)

    def _take(self, channel: SotwChannel, request: Request, now: float) -> Event | None:
        return channel.take(request, now)
