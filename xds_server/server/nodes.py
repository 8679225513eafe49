"""What each node was sent, took and refused."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from time import monotonic, time
from typing import Any, Final, NamedTuple

from xds_server.protocol import Node
from xds_server.server.node_description import Member, date, describe_stream, in_short

_REMEMBERED: Final = 1000
"""Nodes without a stream that are still told of."""
_IN_FULL: Final = 100_000
"""Resources that are told of one by one for these nodes, summed over the last of them: some 60 MB."""
_AT_ONCE: Final = 30_000
_SPELL: Final = 10.0
"""Of nodes that leave within so many seconds, no more resources than that are told of one by one, or one node's:
it takes a third of a second, and when the network fails all nodes leave at the same time."""


class Connected(NamedTuple):
    """A node and its open streams."""

    node: Node
    members: tuple[Member, ...]


@dataclass(slots=True)
class _Entry:
    node: Node
    since: float
    members: set[Member] = field(default_factory=set)
    last: dict[str, Any] = field(default_factory=dict)
    """What was told of it when its last stream ended."""
    rows: int = 0
    """Resources told of one by one in `last`."""


class NodeStatus:
    """The nodes connected, and the last that were. Everything is read off the streams when asked."""

    def __init__(self) -> None:
        self._here: dict[str, _Entry] = {}
        self._gone: OrderedDict[str, _Entry] = OrderedDict()
        """The one that left last is last."""
        self._rows = 0
        """Resources told of one by one of those that left."""
        self._spell = 0.0
        """When the current one began."""
        self._spent = 0
        """Resources told of in it."""

    def join(self, node: Node, member: Member) -> None:
        """Take note of a stream."""
        entry = self._here.setdefault(node.id, _Entry(node, time()))
        entry.node = node
        entry.members.add(member)
        self._forget(node.id)

    def leave(self, node: Node, member: Member) -> None:
        """Take note of the end of a stream."""
        entry = self._here.get(node.id)
        if entry is None or member not in entry.members:
            return
        if entry.members == {member}:
            told = self._describe(entry, resources=self._has_time_for(member))
            entry.last = told | {"connected": False, "synced": False, "since": date(time())}
            entry.rows = sum(
                len(each.get("resources", ()))
                for stream in told["streams"]
                for each in stream["types"].values()
            )
        entry.members.discard(member)
        if not entry.members:
            self._gone[node.id] = self._here.pop(node.id)
            self._rows += entry.rows
            self._trim()

    def _has_time_for(self, member: Member) -> bool:
        now = monotonic()
        if now >= self._spell + _SPELL:
            self._spell, self._spent = now, 0
        channels = member.stream.channels.values()
        resources = sum(len(each.held) + len(each.subscription.names) for each in channels)
        if self._spent and self._spent + resources > _AT_ONCE:
            return False
        self._spent += resources
        return True

    def connected(self) -> int:
        """Return how many nodes have a stream."""
        return len(self._here)

    def connections(self) -> list[Connected]:
        """Return the nodes that have a stream, by id."""
        return [Connected(entry.node, tuple(entry.members)) for _, entry in sorted(self._here.items())]

    def held(self, node_id: str, gateway: str, type_url: str) -> list[str]:
        """Return the names of what a connected node of a gateway accepted of a type, in order.

        Nothing keeps a client from naming itself as another gateway's node.
        """
        entry = self._here.get(node_id)
        members = [each for each in entry.members if each.gateway == gateway] if entry else []
        channels = [each.stream.channels.get(type_url) for each in members]
        return sorted({name for channel in channels if channel is not None for name in channel.held})

    def refused(self) -> int:
        """Return how many resources connected nodes refuse now, summed over nodes."""
        return sum(
            len(channel.refusals)
            for entry in self._here.values()
            for member in entry.members
            for channel in member.stream.channels.values()
        )

    def all(self) -> list[dict[str, Any]]:
        """Describe all nodes in a few lines each, by id."""
        return [self._tell(entry, resources=False) for _, entry in sorted((self._gone | self._here).items())]

    def one(self, node_id: str) -> dict[str, Any] | None:
        """Describe one node with each of its resources; `None` if it is not known."""
        entry = self._here.get(node_id) or self._gone.get(node_id)
        return None if entry is None else self._tell(entry, resources=True)

    def _tell(self, entry: _Entry, *, resources: bool) -> dict[str, Any]:
        if entry.members:
            return self._describe(entry, resources=resources)
        return entry.last if resources else in_short(entry.last)

    def _describe(self, entry: _Entry, *, resources: bool) -> dict[str, Any]:
        return {
            "id": entry.node.id,
            "gateway": entry.node.cluster,
            "region": entry.node.region,
            "agent": entry.node.agent,
            "connected": True,
            "since": date(entry.since),
            "synced": all(member.stream.in_step for member in entry.members),
            "streams": [describe_stream(member, resources=resources) for member in entry.members],
        }

    def _forget(self, node_id: str) -> None:
        entry = self._gone.pop(node_id, None)
        self._rows -= entry.rows if entry is not None else 0

    def _trim(self) -> None:
        while len(self._gone) > _REMEMBERED:
            self._forget(next(iter(self._gone)))
        for entry in self._gone.values():
            if self._rows <= _IN_FULL:
                break
            self._rows -= entry.rows
            entry.last, entry.rows = in_short(entry.last), 0
