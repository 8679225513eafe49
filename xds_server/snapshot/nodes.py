"""Which nodes belong to which gateway."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from xds_server.snapshot.audience import Identity

Rank = tuple[bool, int, int, bool]


@dataclass(frozen=True, slots=True)
class NodeRule:
    """A gateway's claim to nodes: all that is given must hold, of several clusters or ids one."""

    gateway: str
    clusters: frozenset[str] = frozenset()
    ids: tuple[str, ...] = ()
    """Exact, or the beginning of an id and a `*`."""
    metadata: Mapping[str, str] = field(default_factory=dict)

    def rank(self, identity: Identity) -> Rank | None:
        """Return how specific the claim to this node is, for comparison; `None` if it is none of the gateway's.

        An exact id goes before the longest prefix of one, then more metadata, then a cluster.
        """
        fits = [_fit(each, identity.id) for each in self.ids]
        best = max((fit for fit in fits if fit is not None), default=None)
        if self.ids and best is None:
            return None
        if self.clusters and identity.cluster not in self.clusters:
            return None
        if any(identity.metadata.get(key) != value for key, value in self.metadata.items()):
            return None
        exact, length = best or (False, 0)
        return exact, length, len(self.metadata), bool(self.clusters)


def find_gateway(rules: Iterable[NodeRule], identity: Identity) -> str | None:
    """Return the gateway with the most specific claim to a node, of equal ones the first by name; or `None`."""
    ranked = ((rule.rank(identity), rule.gateway) for rule in rules)
    claims = sorted((claim for claim in ranked if claim[0] is not None), key=lambda claim: claim[1])
    return max(claims, key=lambda claim: claim[0] or ())[1] if claims else None


def _fit(pattern: str, node_id: str) -> tuple[bool, int] | None:
    """Whether an id fits exactly, and how many of its letters are given; `None` if it does not fit."""
    if not pattern.endswith("*"):
        return (True, len(pattern)) if pattern == node_id else None
    prefix = pattern[:-1]
    return (False, len(prefix)) if node_id.startswith(prefix) else None
