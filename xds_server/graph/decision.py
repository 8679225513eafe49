"""The decision on one request, as data: what ``explain`` returns and people and tools read."""

from __future__ import annotations

from dataclasses import dataclass, field

from .handling import Handling, Limits
from .placement import Removal
from .routing import Routing


@dataclass(frozen=True, slots=True)
class Refusal:
    """The gateway's own answer: HTTP status, stable code, and why."""

    status: int
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Hop:
    """A place that is tried, in order: ``distance_km`` from the Envoy, ``None`` if its region is unknown.

    Places of equal ``priority`` share the requests by ``weight``; ``percent`` is what comes of that.
    """

    priority: int
    place: str
    region: str
    distance_km: float | None
    standby: bool
    weight: int
    percent: float
    addresses: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Excluded:
    """A backend that is not used, and every reason why: ``removals`` by policy, or ``left_out`` by the routing."""

    place: str
    address: str
    removals: tuple[Removal, ...]
    out_of_split: bool = False
    left_out: str | None = None


@dataclass(frozen=True, slots=True)
class Share:
    """A revision's part: ``percent`` of requests, the places in order, and what is left out."""

    revision: str
    weight: int
    percent: float
    cluster: tuple[str, str]
    limits: Limits
    hops: tuple[Hop, ...]
    excluded: tuple[Excluded, ...]


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy of ``percent`` of requests, and where it goes. No answer comes of it."""

    percent: float
    share: Share


@dataclass(frozen=True, slots=True)
class Decision:
    """How a request is decided. With a ``refusal`` it goes nowhere; what was decided before it is still told.

    ``attempts`` is how often it is sent again at most, and ``retried_on`` for which reasons.
    ``revision`` is the one that a tester has chosen. ``sticky`` are the caller's keys, in the order in which they are
    looked for; the first decides the revision. ``served_by``: whether the answer says where it comes from.
    """

    method: str
    url: str
    region: str
    path: str | None = None
    workspace: str | None = None
    kind: str | None = None
    name: str | None = None
    origin: str | None = None
    access: str = "not checked: no claims were given"
    environment: str | None = None
    environment_from: str | None = None
    forwarded_path: str | None = None
    routing: Routing | None = None
    attempts: int | None = None
    retried_on: tuple[str, ...] = ()
    handling: Handling | None = None
    shares: tuple[Share, ...] = ()
    refusal: Refusal | None = None
    revision: str | None = None
    revision_from: str | None = None
    sticky: tuple[str, ...] = ()
    shadow: Copy | None = None
    served_by: bool = False
    notes: tuple[str, ...] = field(default=())
