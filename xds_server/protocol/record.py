"""What one channel sent, and what the client said of it, with dates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from xds_server.snapshot import Resource


@dataclass(frozen=True, slots=True)
class Flight:
    """A response sent and not yet answered."""

    nonce: str
    version: str
    sent: dict[str, Resource]
    removed: tuple[str, ...]
    changed: frozenset[str]
    """Names in `sent` that the client may not have had with these bytes."""
    at: float


class Mark(NamedTuple):
    """One response of a channel: the last sent, accepted or refused."""

    nonce: str
    version: str
    at: float
    """On the clock given to the state machine: when it was sent, or answered."""
    text: str = ""
    """Of a refusal: the client's words, without their random markers."""
    generation: int = 0
    """Of the view that the response was made from."""


class Receipt(NamedTuple):
    """When the client was sent, and when it accepted, the version that it holds; and from which generation."""

    sent_at: float
    accepted_at: float
    generation: int


class Record:
    """Counts and dates of the responses of a channel. `receipts` are bounded by what the client holds."""

    def __init__(self) -> None:
        self.sent = 0
        self.accepted = 0
        self.refused = 0
        self.last_sent: Mark | None = None
        self.last_accepted: Mark | None = None
        self.last_refused: Mark | None = None
        self.accepted_version = ""
        """Of the last set accepted: by word of the client when it comes back with one."""
        self.receipts: dict[str, Receipt] = {}
        """Of names that the client holds; not of what it has from an earlier stream."""

    @property
    def synced(self) -> bool:
        """Say whether the last response was accepted (its nonce is the last one acknowledged)."""
        sent, accepted = self.last_sent, self.last_accepted
        return sent is not None and accepted is not None and sent.nonce == accepted.nonce

    @property
    def _generation(self) -> int:
        """Of the last response, which is the one in flight while there is one."""
        return 0 if self.last_sent is None else self.last_sent.generation

    def record_sent(self, flight: Flight, generation: int) -> None:
        """Count a response, made from a view of this generation."""
        self.sent += 1
        self.last_sent = Mark(flight.nonce, flight.version, flight.at, generation=generation)

    def record_accepted(self, flight: Flight, now: float) -> None:
        """Take note of the newest version accepted."""
        self.accepted_version = flight.version
        self.last_accepted = Mark(flight.nonce, flight.version, now, generation=self._generation)

    def record_refused(self, flight: Flight, text: str, now: float) -> None:
        """Count a refusal and keep its words."""
        self.refused += 1
        self.last_refused = Mark(flight.nonce, flight.version, now, text, self._generation)

    def date(self, flight: Flight, held: Mapping[str, Resource], now: float) -> None:
        """Date what a response brought and the client now holds."""
        receipt = Receipt(flight.at, now, self._generation)
        for name, resource in flight.sent.items():
            if (name in flight.changed or name not in self.receipts) and held.get(name) is resource:
                self.receipts[name] = receipt
        if len(self.receipts) > len(held):
            for name in self.receipts.keys() - held.keys():
                del self.receipts[name]
