"""One stream: the channels of its types, and the order between them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Generic, TypeVar

from xds_server.protocol.channel import Channel
from xds_server.protocol.delta import DeltaChannel
from xds_server.protocol.message import Event, Request, Response
from xds_server.protocol.ordering import Ordering, Timing
from xds_server.protocol.sotw import SotwChannel
from xds_server.protocol.standing import Standing, names, standing
from xds_server.protocol.types import CLUSTER, ENDPOINT, ORDER
from xds_server.snapshot import Diff, View, diff

AnyChannel = TypeVar("AnyChannel", bound=Channel)

_PLACE = {type_url: place for place, type_url in enumerate(ORDER)}


class Stream(ABC, Generic[AnyChannel]):
    """Turns requests and views into responses. Pure: `now` is any clock in seconds that does not go back.

    Feed it with `on_request` and `on_view`; after either, and when `deadline` comes, `poll` for what to send.
    Before the first view it takes requests and says nothing.
    """

    def __init__(self, *, nonce_prefix: str = "", timing: Timing | None = None) -> None:
        self.view: View | None = None
        self.channels: dict[str, AnyChannel] = {}
        """By type URL, in the order in which they are served."""
        self.deadline: float | None = None
        """When to poll again though nothing else happens; set by `poll`."""
        self._ordering = Ordering(self.channels, timing or Timing())
        self._nonce_prefix = nonce_prefix
        self._responses = 0

    @property
    def in_step(self) -> bool:
        """Say whether the client accepted all there is for it."""
        return self.view is not None and all(channel.in_step for channel in self.channels.values())

    def standing(self, type_url: str, name: str) -> Standing | None:
        """Tell where one resource stands with the client; `None` when its type was never asked for."""
        channel = self.channels.get(type_url)
        return None if channel is None else standing(channel, name, self.view)

    def standings(self, type_url: str) -> Iterator[Standing]:
        """Tell of all resources of a type that are asked for, there, held or refused, by name.

        Whether the type as a whole is in sync is `channels[type_url].synced`; its last responses are
        `last_sent`, `last_accepted` and `last_refused` there.
        """
        channel = self.channels.get(type_url)
        if channel is not None:
            for name in sorted(names(channel, self.view)):
                yield standing(channel, name, self.view)

    def on_request(self, request: Request, now: float) -> Event | None:
        """Take a request. Returns what it says of an earlier response, if anything."""
        channel = self.channels.get(request.type_url)
        if channel is None:
            self._open(request)
            return None
        event = self._take(channel, request, now)
        if event is not None and event.type_url == CLUSTER:
            self._ordering.settled_clusters()
        return event

    @abstractmethod
    def _open(self, request: Request) -> None:
        """Take the first request of a type."""

    @abstractmethod
    def _take(self, channel: AnyChannel, request: Request, now: float) -> Event | None:
        """Take a later request of a type."""

    def _add(self, channel: AnyChannel) -> None:
        self.channels[channel.type_url] = channel
        last = len(_PLACE)
        ordered = sorted(self.channels.items(), key=lambda item: _PLACE.get(item[0], last))
        self.channels.clear()
        self.channels.update(ordered)

    def on_view(self, view: View, change: Diff | None = None) -> None:
        """Take a new view. `change` is the difference to the last one, where the caller has it already."""
        before, self.view = self.view, view
        if before is None or before is view:
            return
        if change is None:
            change = diff(before, view)
        for type_url in change.types():
            channel = self.channels.get(type_url)
            if channel is not None:
                channel.note(change.names(type_url))

    def poll(self, now: float) -> list[Response]:
        """Return what is to be sent now, in order."""
        if self.view is None:
            return []
        self._ordering.expire(now)
        responses = []
        for channel in self.channels.values():
            if channel.flight is not None or not channel.waiting:
                continue
            response = channel.respond(self.view, self._ordering, self._nonce(), now)
            if response is not None:
                self._responses += 1
                responses.append(response)
                if channel.type_url == CLUSTER:
                    self._follow_clusters(channel)
        self.deadline = self._ordering.next_deadline(now)
        return responses

    def _nonce(self) -> str:
        return f"{self._nonce_prefix}{self._responses + 1}"

    def _follow_clusters(self, clusters: AnyChannel) -> None:
        """Envoy warms a changed cluster until its endpoints come, changed or not; in delta it does not ask."""
        endpoints = self.channels.get(ENDPOINT)
        if endpoints is not None and clusters.flight is not None:
            endpoints.ask(clusters.flight.changed & endpoints.subscription.names)


class DeltaStream(Stream[DeltaChannel]):
    """A stream of the incremental variant."""

    def _open(self, request: Request) -> None:
        channel = DeltaChannel(request.type_url)
        clusters = self.channels.get(CLUSTER)
        endpoints = request.type_url == ENDPOINT
        # Endpoints asked for before clusters: a cluster is still warming from an earlier stream, and Envoy,
        # although
        # it holds its endpoints, waits for them to be sent.
        trust = not (endpoints and clusters is None)
        warming = clusters.flight.sent.keys() if endpoints and clusters and clusters.flight else ()
        channel.open(request, trust=trust, unsettled=warming)
        self._add(channel)

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
