"""The streams of one node: what one of them settles, others may be waiting for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from typing import Protocol
from weakref import WeakValueDictionary

from xds_server.protocol.channel import Channel


class Member(Protocol):
    """A stream, as the others of its node see it."""

    def recheck(self) -> None:
        """Have all that waited for clusters looked at again."""

    def wake(self) -> None:
        """Have the stream polled soon; not now."""


class Company:
    """The channels of all streams of one node, by type.

    A node that has each type from its own service has a stream per type, and one per route configuration
    and set of endpoints; order has to hold between them. On an aggregated stream the company is its own.

    `several`: it is the company of such streams. Envoy then acknowledges clusters at once; on an aggregated
    stream it does so when they are warm.

    No member waits for another that has gone: `leave` has the others look again.
    """

    def __init__(self, *, several: bool = False) -> None:
        self.several = several
        self._expected: dict[str, set[Member]] = {}
        """By name of endpoints, those who wait for them to be acknowledged."""
        self._channels: dict[str, dict[Channel, Member]] = {}
        self._waiting: set[Member] = set()
        """Those with something that waits for other types: blocked, or leaving."""

    def of(self, type_url: str) -> Collection[Channel]:
        """Return the channels of a type, oldest first."""
        return self._channels.get(type_url, {}).keys()

    def enter(self, member: Member, channel: Channel) -> None:
        """Take a channel in."""
        self._channels.setdefault(channel.type_url, {})[channel] = member

    def leave(self, member: Member, channels: Collection[Channel]) -> None:
        """Forget a member and its channels."""
        self._waiting.discard(member)
        for members in self._expected.values():
            members.discard(member)
        for channel in channels:
            self._channels.get(channel.type_url, {}).pop(channel, None)
        self.tell(member, clusters=True)

    def wait(self, member: Member, *, waits: bool) -> None:
        """Take note of whether a member has to hear of the others."""
        if waits:
            self._waiting.add(member)
        else:
            self._waiting.discard(member)

    def tell(self, by: Member, *, clusters: bool) -> None:
        """Tell those who wait that a member sent, settled or no longer asks for something.

        `clusters`: clusters may have been settled, so that what waited for them may go.
        """
        for each in self._waiting - {by}:
            if clusters:
                each.recheck()
            each.wake()

    def expect(self, endpoints: str, member: Member) -> None:
        """Have a member told when these endpoints are acknowledged."""
        self._expected.setdefault(endpoints, set()).add(member)

    def arrive(self, endpoints: Iterable[str]) -> None:
        """Tell those who wait for these endpoints."""
        if self._expected:
            for name in endpoints:
                for member in self._expected.pop(name, ()):
                    member.recheck()
                    member.wake()

    def ask(self, type_url: str, names: Set[str], by: Member) -> None:
        """Have these names sent, on whichever streams they are asked for, even if unchanged."""
        for channel, member in self._channels.get(type_url, {}).items():
            wanted = names & channel.subscription.names
            if wanted:
                channel.ask(wanted)
                if member is not by:
                    member.wake()


class Companies:
    """The company of each node that has a stream; it is freed with the last of them."""

    def __init__(self) -> None:
        self._nodes: WeakValueDictionary[str, Company] = WeakValueDictionary()

    def of(self, node_id: str) -> Company:
        """Return a node's company, which the caller keeps as long as it is a member."""
        return self._nodes.setdefault(node_id, Company(several=True))

    def __len__(self) -> int:
        return len(self._nodes)
