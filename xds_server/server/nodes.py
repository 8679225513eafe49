"""What each node was sent, took and refused."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from time import monotonic, time
from typing import Any, Final, Protocol

from xds_server.protocol import Channel, Node, Refusal, Stream
from xds_server.protocol.types import short
from xds_server.snapshot import Resource

_REMEMBERED: Final = 1000
"""Nodes without a stream that are still told of."""


class Member(Protocol):
    """An open stream of a node."""

    @property
    def variant(self) -> str:
        """`delta` or `sotw`."""

    @property
    def stream(self) -> Stream[Any]:
        """The state machine."""


@dataclass(slots=True)
class _Entry:
    node: Node
    since: float
    members: set[Member] = field(default_factory=set)
    last: dict[str, Any] = field(default_factory=dict)
    """What was told of it when its last stream ended."""


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
        told = self._describe(entry, resources=True)
        entry.members.discard(member)
        if not entry.members:
            entry.last = told | {"connected": False, "synced": False, "since": _iso(time())}
            self._trim()

    def connected(self) -> int:
        """Return how many nodes have a stream."""
        return sum(1 for entry in self._entries.values() if entry.members)

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
        if resources:
            return entry.last
        return entry.last | {
            "streams": [_without_resources(stream) for stream in entry.last.get("streams", ())]
        }

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


def _without_resources(stream: dict[str, Any]) -> dict[str, Any]:
    types = {
        name: {key: value for key, value in each.items() if key != "resources"}
        for name, each in stream["types"].items()
    }
    return stream | {"types": types}


def _stream(member: Member, *, resources: bool) -> dict[str, Any]:
    view = member.stream.view
    return {
        "variant": member.variant,
        "generation": None if view is None else view.generation,
        "synced": member.stream.in_step,
        "types": {
            short(type_url): _channel(channel, resources=resources)
            for type_url, channel in member.stream.channels.items()
        },
    }


def _channel(channel: Channel, *, resources: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "subscribed": sorted(channel.subscription.names) + (["*"] if channel.subscription.wildcard else [])
        if resources
        else ("*" if channel.subscription.wildcard else len(channel.subscription.names)),
        "held": len(channel.held),
        "in_flight": channel.flight is not None,
        "waiting": len(channel.dirty),
        "blocked": sorted(channel.blocked),
        "leaving": len(channel.leaving),
        "responses": channel.sent,
        "acked": channel.accepted,
        "nacked": channel.refused,
        "refusals": [_refusal(channel.refusals[name]) for name in sorted(channel.refusals)],
    }
    if resources:
        told["resources"] = _resources(channel)
    return told


def _resources(channel: Channel) -> list[dict[str, Any]]:
    """List each resource once: the version sent and not yet answered, the accepted one, the refused one."""
    sent = channel.flight.sent if channel.flight is not None else {}
    told = []
    for name in sorted(channel.held.keys() | sent.keys() | channel.refusals.keys()):
        held, going, refusal = channel.held.get(name), sent.get(name), channel.refusals.get(name)
        told.append(
            {
                "name": name,
                "sent": going.version if going else refusal.resource.version if refusal else _version(held),
                "acked": _version(held),
                "nacked": refusal.resource.version if refusal else None,
            }
        )
    return told


def _version(held: Resource | None) -> str | None:
    return None if held is None else held.version


def _refusal(refusal: Refusal) -> dict[str, Any]:
    return {
        "name": refusal.resource.name,
        "version": refusal.resource.version,
        "error": refusal.text,
        "since": _iso(time() - (monotonic() - refusal.since)),
        "origin": refusal.resource.origin,
    }


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
