"""One stream: the channels of its types, and its place among the streams of its node."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator
from typing import Generic, TypeVar

from xds_server.protocol.channel import Channel
from xds_server.protocol.company import Company
from xds_server.protocol.message import Accepted, Event, Request, Response
from xds_server.protocol.ordering import Ordering
from xds_server.protocol.standing import Standing, names, standing
from xds_server.protocol.timing import Timing
from xds_server.protocol.types import CLUSTER, ENDPOINT, ORDER, REFERRERS
from xds_server.snapshot import Diff, View, diff, is_reserve, type_of

AnyChannel = TypeVar("AnyChannel", bound=Channel)

_PLACE = {type_url: place for place, type_url in enumerate(ORDER)}


class Stream(ABC, Generic[AnyChannel]):
    """Turns requests and views into responses. Pure: `now` is any clock in seconds that does not go back.

    Feed it with `on_request` and `on_view`; after either, when `deadline` comes, and when it called `wake`,
    `poll` for what to send. Before the first view it takes requests and says nothing. `leave` when it ends.
    """

    def __init__(self, *, nonce_prefix: str = "", timing: Timing | None = None) -> None:
        self.view: View | None = None
        self.channels: dict[str, AnyChannel] = {}
        """By type URL, in the order in which they are served."""
        self.deadline: float | None = None
        """When to poll again though nothing else happens; set by `poll`."""
        self.wake: Callable[[], None] = _nothing
        """Called when another stream of the node settled what this one waits for; polls later, never within."""
        self.inherit: Callable[[str], Collection[str]] = _nobody
        """Gives the names of a type that the client perhaps holds from an earlier stream (`Estates.claim`)."""
        self._timing = timing or Timing()
        self._nonce_prefix = nonce_prefix
        self._responses = 0
        self.join(Company())

    def join(self, company: Company) -> None:
        """Keep order with the other streams of a company. To be called before the first request."""
        self._company = company
        self._ordering = Ordering(self.channels, company, self._timing)

    def leave(self) -> None:
        """End: no other stream is to wait for this one."""
        self._company.leave(self, self.channels.values())

    def recheck(self) -> None:
        """As `Member.recheck`."""
        for type_url in REFERRERS:
            channel = self.channels.get(type_url)
            if channel is not None and channel.blocked:
                channel.unblock(channel.blocked)

    def estate(self) -> dict[str, frozenset[str]]:
        """As `Testator.estate`."""
        return {}

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
        # Settled, or no longer asked for: either way they may be what others waited for.
        clusters = channel.type_url == CLUSTER
        if clusters:
            self.recheck()
        self._company.tell(self, clusters=clusters)
        if isinstance(event, Accepted) and event.type_url == ENDPOINT:
            self._company.arrive(channel.held)
        return event

    @abstractmethod
    def _open(self, request: Request) -> None:
        """Take the first request of a type."""

    @abstractmethod
    def _take(self, channel: AnyChannel, request: Request, now: float) -> Event | None:
        """Take a later request of a type."""

    def _add(self, channel: AnyChannel) -> None:
        self.channels[channel.type_url] = channel
        self._company.enter(self, channel)
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
        for key in change.types():
            channel = self.channels.get(type_of(key))
            if channel is not None and is_reserve(key):
                channel.note_reserve(change.names(key))
            elif channel is not None:
                channel.note(change.names(key))

    def first_looks(self) -> Iterator[tuple[str, Collection[str] | None]]:
        """Iterate over the types of which much may be looked at next, and over the names (`None`: all of them)."""
        for type_url, channel in self.channels.items():
            if channel.fresh or (channel.waiting and not channel.told_what_is_held):
                yield type_url, channel.first_look()

    def poll(self, now: float) -> list[Response]:
        """Return what is to be sent now, in order."""
        responses = []
        while (response := self.next(now)) is not None:
            responses.append(response)
        return responses

    def next(self, now: float) -> Response | None:
        """Return the first of what is to be sent now; `None`: nothing, until something happens.

        Made as late as that, a response knows of requests that came while those before it were written.
        """
        if self.view is None:
            return None
        idle, news, waits = [], False, False
        for channel in self.channels.values():
            if channel.flight is None:
                idle.append(channel)
                news = news or channel.fresh or bool(channel.dirty)
        clusters = self.channels.get(CLUSTER)
        unknown = clusters is not None and clusters.fresh
        self._ordering.view = self.view
        self._ordering.expire(now)
        response = self._respond(idle, self.view, now)
        if response is None and news:
            # Those looked at last may have been what the first waited for.
            response = self._respond(idle, self.view, now)
        for channel in self.channels.values():
            waits = waits or bool(channel.blocked or channel.leaving)
        self._company.wait(self, waits=waits)
        while self._ordering.expected:
            self._company.expect(self._ordering.expected.pop(), self)
        if news or response is not None:
            # That a client lacks no clusters is news for what waited to know.
            known = unknown and clusters is not None and not clusters.fresh
            self._company.tell(self, clusters=known)
        if response is None:
            self.deadline = self._ordering.next_deadline(now)
        return response

    def _respond(self, idle: list[AnyChannel], view: View, now: float) -> Response | None:
        for channel in idle:
            if not channel.waiting:
                continue
            response = channel.respond(view, self._ordering, self._nonce(), now)
            if response is not None:
                self._responses += 1
                if channel.type_url == CLUSTER and channel.flight is not None:
                    # Envoy warms a changed cluster until its endpoints come, changed or not; in delta it
                    # does not ask.
                    self._company.ask(ENDPOINT, channel.flight.changed | channel.restored, self)
                    self.recheck()
                    self._company.tell(self, clusters=True)
                return response
        return None

    def _nonce(self) -> str:
        return f"{self._nonce_prefix}{self._responses + 1}"


def _nothing() -> None:
    pass


def _nobody(_type_url: str) -> Collection[str]:
    return ()
