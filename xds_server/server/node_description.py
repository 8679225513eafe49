"""A node's streams in plain values, for `/nodes`."""

from __future__ import annotations

from datetime import UTC, datetime
from time import monotonic, time
from typing import Any, Protocol

from xds_server.protocol import Channel, Mark, Refusal, Standing, Stream
from xds_server.protocol.types import short


class Member(Protocol):
    """An open stream of a node."""

    @property
    def variant(self) -> str:
        """`delta` or `sotw`."""

    @property
    def gateway(self) -> str:
        """The gateway that it is a member of."""

    @property
    def stream(self) -> Stream[Any]:
        """The state machine."""


def in_short(told: dict[str, Any]) -> dict[str, Any]:
    """Return what was told of a node without its single resources."""
    return told | {"streams": [_without_resources(stream) for stream in told.get("streams", ())]}


def _without_resources(stream: dict[str, Any]) -> dict[str, Any]:
    types = {name: _short(each) for name, each in stream["types"].items()}
    return stream | {"types": types}


def _short(told: dict[str, Any]) -> dict[str, Any]:
    if "resources" not in told:
        return told
    named = "*" if "*" in told["subscribed"] else len(told["subscribed"])
    return {key: value for key, value in told.items() if key != "resources"} | {"subscribed": named}


def describe_stream(member: Member, *, resources: bool) -> dict[str, Any]:
    """Tell of a stream and its types; with `resources` of each of these."""
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
    return None if at is None else date(time() - (monotonic() - at))


def date(seconds: float) -> str:
    """Write a time, in seconds since 1970, as ISO 8601."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
