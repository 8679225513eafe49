"""What each node was sent, took and refused."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic, time
from typing import Any, Final, NamedTuple, Protocol

from xds_server.protocol import Channel, Mark, Node, Refusal, Standing, Stream
from xds_server.protocol.types import short

_REMEMBERED: Final = 1000
"""Nodes without a stream that are still told of."""
_IN_FULL: Final = 100_000
"""Resources that are told of one by one for these nodes, summed over the last of them: some 60 MB."""


class Member(Protocol):
    """An open stream of a node."""

    @property
    def variant(self) -> str:
        """`delta` or `sotw`."""

    @property
    def stream(self) -> Stream[Any]:
        """The state machine."""


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
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def join(self, node: Node, member: Member) -> None:
        """Take note of a stream."""
        entry = self._entries.get(node.id)
        if entry is None or not entry.members:
            entry = self._entries[node.id] = _Entry(node, time())
        entry.node = node
        entry.members.add(member)
        self._entries.move_to_end(node.id)
        self._trim()

    def leave(self, node: Node, member: Member) -> None:
        """Take note of the end of a stream."""
        entry = self._entries.get(node.id)
        if entry is None or member not in entry.members:
            return
        if entry.members == {member}:
            told = self._describe(entry, resources=True)
            entry.last = told | {"connected": False, "synced": False, "since": _iso(time())}
            entry.rows = sum(
                len(each["resources"]) for stream in told["streams"] for each in stream["types"].values()
            )
        entry.members.discard(member)
        if not entry.members:
            self._trim()

    def connected(self) -> int:
        """Return how many nodes have a stream."""
        return sum(1 for entry in self._entries.values() if entry.members)

    def connections(self) -> list[Connected]:
        """Return the nodes that have a stream, by id."""
        return [
            Connected(entry.node, tuple(entry.members))
            for _, entry in sorted(self._entries.items())
            if entry.members
        ]

    def held(self, node_id: str, type_url: str) -> list[str]:
        """Return the names of what a connected node accepted of a type, in order."""
        entry = self._entries.get(node_id)
        channels = [each.stream.channels.get(type_url) for each in entry.members] if entry else []
        return sorted({name for channel in channels if channel is not None for name in channel.held})

    def refused(self) -> int:
        """Return how many resources connected nodes refuse now, summed over nodes."""
        return sum(
            len(channel.refusals)
            for entry in self._entries.values()
            for member in entry.members
            for channel in member.stream.channels.values()
        )

    def all(self) -> list[dict[str, Any]]:
        """Describe all nodes in a few lines each, by id."""
        return [self._tell(entry, resources=False) for _, entry in sorted(self._entries.items())]

    def one(self, node_id: str) -> dict[str, Any] | None:
        """Describe one node with each of its resources; `None` if it is not known."""
        entry = self._entries.get(node_id)
        return None if entry is None else self._tell(entry, resources=True)

    def _tell(self, entry: _Entry, *, resources: bool) -> dict[str, Any]:
        if entry.members:
            return self._describe(entry, resources=resources)
        return entry.last if resources else _in_short(entry.last)

    def _describe(self, entry: _Entry, *, resources: bool) -> dict[str, Any]:
        return {
            "id": entry.node.id,
            "gateway": entry.node.cluster,
            "region": entry.node.region,
            "agent": entry.node.agent,
            "connected": True,
            "since": _iso(entry.since),
            "synced": all(member.stream.in_step for member in entry.members),
            "streams": [_stream(member, resources=resources) for member in entry.members],
        }

    def _trim(self) -> None:
        idle = [node_id for node_id, entry in self._entries.items() if not entry.members]
        for node_id in idle[: max(0, len(idle) - _REMEMBERED)]:
            del self._entries[node_id]
        room = _IN_FULL
        for node_id in reversed(idle):
            entry = self._entries.get(node_id)
            if entry is not None and entry.rows:
                room -= entry.rows
                if room < 0:
                    entry.last, entry.rows = _in_short(entry.last), 0


def _in_short(told: dict[str, Any]) -> dict[str, Any]:
    return told | {"streams": [_without_resources(stream) for stream in told.get("streams", ())]}


def _without_resources(stream: dict[str, Any]) -> dict[str, Any]:
    types = {name: _short(each) for name, each in stream["types"].items()}
    return stream | {"types": types}


def _short(told: dict[str, Any]) -> dict[str, Any]:
    if "resources" not in told:
        return told
    named = "*" if "*" in told["subscribed"] else len(told["subscribed"])
    return {key: value for key, value in told.items() if key != "resources"} | {"subscribed": named}


def _stream(member: Member, *, resources: bool) -> dict[str, Any]:
    view = member.stream.view
    return {
        "variant": member.variant,
        "generation": None if view is None else view.generation,
        "synced": member.stream.in_step,
        "types": {
            short(type_url): _channel(channel)
            | (_resources(member.stream, type_url, channel) if resources else {})
            for type_url, channel in member.stream.channels.items()
        },
    }


def _channel(channel: Channel) -> dict[str, Any]:
    return {
        "subscribed": "*" if channel.subscription.wildcard else len(channel.subscription.names),
        "held": len(channel.held),
        "in_flight": channel.flight is not None,
        "waiting": len(channel.dirty),
        "blocked": sorted(channel.blocked),
        "leaving": len(channel.leaving),
        "responses": channel.sent,
        "acked": channel.accepted,
        "nacked": channel.refused,
        "synced": channel.synced,
        "last_sent": _mark(channel.last_sent),
        "last_acked": _mark(channel.last_accepted),
        "last_nacked": _mark(channel.last_refused),
        "refusals": [_refusal(channel.refusals[name]) for name in sorted(channel.refusals)],
    }


def _resources(stream: Stream[Any], type_url: str, channel: Channel) -> dict[str, Any]:
    return {
        "subscribed": sorted(channel.subscription.names) + (["*"] if channel.subscription.wildcard else []),
        "resources": [_row(each) for each in stream.standings(type_url)],
    }


def _row(standing: Standing) -> dict[str, Any]:
    return {
        "name": standing.name,
        "state": standing.state.value,
        "sent": standing.sent,
        "sent_at": _when(standing.sent_at),
        "acked": standing.accepted,
        "acked_at": _when(standing.accepted_at),
        "acked_generation": standing.generation,
        "nacked": standing.refused,
        "nacked_at": _when(standing.refused_at),
        "error": standing.text,
        "origin": standing.origin,
        "leaving": standing.leaving,
    }


def _mark(mark: Mark | None) -> dict[str, Any] | None:
    if mark is None:
        return None
    return {
        "version": mark.version,
        "generation": mark.generation,
        "at": _when(mark.at),
        "error": mark.text or None,
    }


def _refusal(refusal: Refusal) -> dict[str, Any]:
    return {
        "name": refusal.resource.name,
        "version": refusal.resource.version,
        "error": refusal.text,
        "since": _when(refusal.since),
        "origin": refusal.resource.origin,
    }


def _when(at: float | None) -> str | None:
    """Turn a time of the streams' clock into one of the calendar."""
    return None if at is None else _iso(time() - (monotonic() - at))


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
