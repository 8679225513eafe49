"""What a channel asks of the order between types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from xds_server.snapshot import Resource

if TYPE_CHECKING:
    from xds_server.protocol.channel import Channel


class Gate(Protocol):
    """Decides what has to wait for other types (`Ordering` is the one in use)."""

    def waits(self, channel: Channel, resource: Resource, now: float) -> float | None:
        """Return since when this resource waits for something else to be told first; `None`: it need not."""

    def released(self, channel: Channel, now: float) -> frozenset[str]:
        """Return those of `channel.leaving` that may be taken from the client now."""

    def leaves(self, cluster: str) -> bool:
        """Say whether the client keeps this cluster for a while, though there is none of that name any more."""
