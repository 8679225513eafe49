"""The registry: leases by what they are of, each with the time at which it ends unless it is renewed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from math import inf
from typing import Any, Final, NamedTuple

MOST: Final = 1000
"""Backends that may be registered for one revision: each is an endpoint in every Envoy."""
MOST_WEIGHT: Final = 1_000_000
"""Of one backend: Envoy adds those of a place up in 32 bits."""

_SHOWN: Final = 200
"""Characters that are shown of what is no lease."""


class FullError(Exception):
    """As many backends are registered for the revision as may be."""


class Fault(NamedTuple):
    """What is kept and no lease: under which name, and what is wrong with it."""

    name: str
    reason: str


class Slot(NamedTuple):
    """What backends are registered for: the path of an endpoint, an environment and a revision."""

    path: str
    environment: str
    revision: str

    def __str__(self) -> str:
        return "/".join(self)


@dataclass(frozen=True, slots=True)
class Lease:
    """A backend as it registered: ``authority`` is its IP address and port, ``ttl`` in seconds."""

    location: str
    authority: str
    flavor: str | None
    weight: int
    ttl: float

    @property
    def name(self) -> tuple[str, str]:
        """What makes it this backend and no other, in its slot."""
        return self.location, self.authority


class Registry:
    """All leases of one process. Times are in seconds, on any clock that never goes back."""

    def __init__(self) -> None:
        self._leases: dict[Slot, dict[tuple[str, str], tuple[Lease, float]]] = {}

    def put(self, slot: Slot, lease: Lease, now: float) -> bool:
        """Register a backend, or renew its lease; returns whether that makes a difference to others.

        Raises ``FullError``.
        """
        held = self._leases.setdefault(slot, {})
        known = held.get(lease.name)
        if known is None and len(held) >= MOST:
            raise FullError(f"{MOST} backends are registered for {slot}")
        held[lease.name] = lease, now + lease.ttl
        return known is None or known[0] != lease

    def remove(self, slot: Slot, location: str, authority: str) -> bool:
        """Forget a backend; returns whether it was there."""
        held = self._leases.get(slot, {})
        found = held.pop((location, authority), None) is not None
        if found and not held:
            del self._leases[slot]
        return found

    def expire(self, now: float) -> list[tuple[Slot, Lease]]:
        """Forget those whose time is over, and return them."""
        over = [
            (slot, lease) for slot, held in self._leases.items() for lease, end in held.values() if end <= now
        ]
        for slot, lease in over:
            self.remove(slot, *lease.name)
        return over

    def keep(self, slots: frozenset[Slot]) -> list[Slot]:
        """Forget what is registered for anything else, and return for what."""
        gone = [slot for slot in self._leases if slot not in slots]
        for slot in gone:
            del self._leases[slot]
        return gone

    def list(self) -> Mapping[Slot, tuple[Lease, ...]]:
        """What is registered, in an order that depends on nothing else."""
        return {
            slot: tuple(lease for _, (lease, _) in sorted(held.items()))
            for slot, held in sorted(self._leases.items())
        }

    def remaining(self, slot: Slot, lease: Lease, now: float) -> float:
        """How many seconds a lease has left."""
        return self._leases[slot][lease.name][1] - now

    def write(self) -> dict[str, Any]:
        """What is registered as JSON values. When leases end is left out: it means nothing to another process."""
        return {str(slot): [asdict(each) for each in leases] for slot, leases in self.list().items()}

    def read(self, data: Mapping[str, Any], now: float, check: Callable[[str], str]) -> tuple[Fault, ...]:
        """Take over what was written, each lease with its whole time: those who renew it must find somebody to tell.

        ``check`` returns an authority as it is to be kept, and raises ``ValueError`` for one that must not be. What is
        no lease is left out, alone, and returned.
        """
        faults = []
        for name, leases in data.items():
            path, environment, revision = [*name.rsplit("/", 2), "", ""][:3]
            for each in leases if isinstance(leases, list) else [leases]:
                try:
                    self.put(Slot(path, environment, revision), _read(each, check), now)
                except (TypeError, KeyError, ValueError, OverflowError, FullError) as error:
                    faults.append(Fault(name, f"{type(error).__name__}: {error} in {str(each)[:_SHOWN]}"))
        return tuple(faults)


def _read(data: Mapping[str, Any], check: Callable[[str], str]) -> Lease:
    location, authority, flavor = data["location"], data["authority"], data["flavor"]
    if not (isinstance(location, str) and isinstance(authority, str) and isinstance(flavor, str | None)):
        raise TypeError("location, authority and flavor are text")
    weight, ttl = int(data["weight"]), float(data["ttl"])
    if not 0 <= weight <= MOST_WEIGHT or not 0 < ttl < inf:
        raise ValueError(f"a weight of {weight} for {ttl} s")
    return Lease(location, check(authority), flavor, weight, ttl)
