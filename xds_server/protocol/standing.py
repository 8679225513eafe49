"""Where one resource stands with one client: sent, accepted, refused, since when, and whose it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xds_server.protocol.channel import Channel
    from xds_server.snapshot import View


class State(StrEnum):
    """Of one resource on one stream."""

    REQUESTED = "requested"
    """Asked for by name, and there is no such resource (or no view yet)."""
    NOT_SENT = "not-sent"
    """There is a version that was not sent yet: it waits for an answer, for its clusters, or for its turn."""
    SENT = "sent"
    """In the response that the client has not answered yet."""
    ACKED = "acked"
    """The client holds the version that it should, or one that is about to be taken from it."""
    NACKED = "nacked"
    """The client refused the version that it should hold; it keeps `accepted`."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One resource with one client. Times are on the clock given to the state machine; `None` is never.

    For CSDS: `NOT_SENT` is NOT_SENT, `SENT` STALE, `ACKED` SYNCED, `NACKED` ERROR:
    https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/status/v3/csds.proto
    """

    type_url: str
    name: str
    state: State
    sent: str | None = None
    """The version last sent."""
    sent_at: float | None = None
    accepted: str | None = None
    """The version that the client holds. Told by the client, if `accepted_at` is `None`: it has it from an
    earlier stream."""
    accepted_at: float | None = None
    refused: str | None = None
    """The version refused, until another one is accepted."""
    refused_at: float | None = None
    text: str = ""
    """The client's words of the refusal, without their random markers."""
    named: bool = True
    """Whether the client's words named this resource, or it was alone in a response; otherwise it is one of
    several suspects."""
    origin: str = ""
    """`file:line` of the manifest that the refused version, or else the current one, came from."""
    leaving: bool = False
    """Gone from the view, and still held until nothing refers to it."""
    generation: int | None = None
    """From which the accepted version was sent; `None` as for `accepted_at`."""


def standing(channel: Channel, name: str, view: View | None) -> Standing:
    """Tell where a resource stands, by its name, asked for or not."""
    resource = channel.find(view, name) if view is not None else None
    held, refusal, flight = channel.held.get(name), channel.refusals.get(name), channel.flight
    going = flight.sent.get(name) if flight is not None else None
    receipt = channel.receipts.get(name)
    wanted = resource.version if resource is not None else None
    if going is not None:
        state = State.SENT
    elif refusal is not None and wanted in (refusal.resource.version, None):
        state = State.NACKED
    elif held is not None and wanted in (held.version, None):
        state = State.ACKED
    else:
        state = State.NOT_SENT if resource is not None else State.REQUESTED
    sent: str | None = None
    sent_at: float | None = None
    if going is not None and flight is not None:
        sent, sent_at = going.version, flight.at
    elif refusal is not None:
        sent, sent_at = refusal.resource.version, refusal.sent_at
    elif held is not None:
        sent, sent_at = held.version, receipt.sent_at if receipt is not None else None
    owner = refusal.resource if refusal is not None else resource or going or held
    return Standing(
        channel.type_url,
        name,
        state,
        sent,
        sent_at,
        held.version if held is not None else None,
        receipt.accepted_at if receipt is not None and held is not None else None,
        refusal.resource.version if refusal is not None else None,
        refusal.since if refusal is not None else None,
        refusal.text if refusal is not None else "",
        refusal.named if refusal is not None else True,
        owner.origin if owner is not None else "",
        name in channel.leaving,
        receipt.generation if receipt is not None and held is not None else None,
    )


def names(channel: Channel, view: View | None) -> set[str]:
    """Return the names of which something can be told: asked for, there to be sent, held, or refused."""
    known = channel.subscription.names | channel.held.keys() | channel.refusals.keys()
    if channel.flight is not None:
        known |= channel.flight.sent.keys()
    if channel.subscription.wildcard and view is not None:
        known.update(view.names(channel.type_url), channel.following)
    return known
