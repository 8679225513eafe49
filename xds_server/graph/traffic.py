"""Traffic: how a deployment deals its requests to its revisions, beyond their weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from xds_server.policy import Deployment as DeploymentSpec
from xds_server.policy import Shadow as ShadowSpec
from xds_server.policy import Sticky as StickySpec
from xds_server.policy import Testers, format_duration

from .rule import ClaimRule

PARTS: Final = 10_000
"""Into how many parts the callers of a sticky split are divided: a share is a multiple of 0.01 %."""


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie that knows a caller again; ``ttl`` in seconds."""

    name: str
    ttl: int


@dataclass(frozen=True, slots=True)
class Sticky:
    """By what a caller is known again: header, else claim (its path), else cookie. At least one is there."""

    header: str | None
    claim: tuple[str, ...] | None
    cookie: Cookie | None


@dataclass(frozen=True, slots=True)
class Shadow:
    """Who is sent a copy of requests: of ``parts`` in ``PARTS``."""

    revision: str
    parts: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """What a deployment says of its requests; as it stands here, nothing."""

    sticky: Sticky | None = None
    testers: tuple[ClaimRule, ...] | None = None
    """Who may choose a revision; ``None``: nobody, and a request that seems to do so is like any other."""
    shadow: Shadow | None = None
    served_by: bool = False
    """Whether answers say which revision and region they come from."""


PLAIN: Final = Traffic()
"""Of a deployment that says nothing of the kind."""


def build_traffic(spec: DeploymentSpec) -> Traffic:
    """What a deployment's manifest says."""
    traffic = Traffic(
        sticky=None if spec.sticky is None else _build_sticky(spec.sticky),
        testers=None if spec.testers is None else _build_rules(spec.testers),
        shadow=None if spec.shadow is None else _build_shadow(spec.shadow),
        served_by=spec.served_by,
    )
    return PLAIN if traffic == PLAIN else traffic


def is_shadow(spec: DeploymentSpec, revision: str) -> bool:
    """Whether a revision is sent copies of the deployment's requests."""
    return spec.shadow is not None and spec.shadow.revision == revision


def scale(split: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """A split as parts of ``PARTS``, by name: what Envoy picks a caller's revision from.

    Envoy lays the weights end to end and looks where the caller's hash, modulo their sum, falls. So their sum must
    always be the same, and their order must not depend on where they stand in a file; then a boundary between two
    revisions moves by as much as they change, and only callers in between move. Rounded by largest remainder; who has
    a weight has a part. ``split`` has fewer than ``PARTS`` revisions, with positive weights.
    https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/route/v3/route_components.proto#config-route-v3-weightedcluster
    """
    ordered = sorted(split)
    total = sum(weight for _, weight in ordered)
    spare = PARTS - len(ordered)
    # Each has one part for being there; the others are dealt so that all come as near to their share as they can.
    wanted = {name: max(0, weight * PARTS - total) for name, weight in ordered}
    demand = sum(wanted.values())
    parts = {name: 1 + spare * share // demand for name, share in wanted.items()}
    remainders = sorted(wanted, key=lambda name: (-(spare * wanted[name] % demand), name))
    for name in remainders[: PARTS - sum(parts.values())]:
        parts[name] += 1
    return tuple(parts.items())


def list_keys(traffic: Traffic) -> tuple[str, ...]:
    """The keys of a sticky split in the order in which they are looked for, as people read them."""
    sticky = traffic.sticky
    if sticky is None:
        return ()
    keys = (
        sticky.header and f"header {sticky.header}",
        sticky.claim and f"claim {'.'.join(sticky.claim)}",
        sticky.cookie and f"cookie {sticky.cookie.name}, given for {format_duration(sticky.cookie.ttl)}",
    )
    return tuple(key for key in keys if key)


def _build_shadow(spec: ShadowSpec) -> Shadow:
    return Shadow(spec.revision, round(spec.percent * PARTS / 100))


def _build_rules(spec: Testers) -> tuple[ClaimRule, ...]:
    return tuple(ClaimRule(rule.claim, rule.any_of) for rule in spec.claims)


def _build_sticky(spec: StickySpec) -> Sticky:
    cookie = None if spec.cookie is None else Cookie(spec.cookie.name, int(spec.cookie.ttl))
    header = None if spec.header is None else spec.header.lower()
    return Sticky(header, spec.claim, cookie)
