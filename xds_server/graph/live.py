"""What moves at run time, laid over the graph that the policies make.

The graph that the builder goes on from stays as it is; what is compiled is the one that this module makes of it. Of
those that nothing moves, it has the same objects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from .endpoint import Deployment, Endpoint
from .graph import Graph
from .rollout import divide


class Moved(NamedTuple):
    """How far a rollout between two revisions has come: the new one's share in percent."""

    old: str
    new: str
    percent: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What moves of one endpoint: by environment, how far its rollout has come, and the regions that spill."""

    rollouts: tuple[tuple[str, Moved], ...] = ()
    spills: tuple[tuple[str, tuple[str, ...]], ...] = ()

    def lay(self, endpoint: Endpoint) -> Endpoint:
        """The endpoint as it is now. What belongs to a deployment or rollout that is not there counts for nothing."""
        moved, spills = dict(self.rollouts), dict(self.spills)
        deployments = tuple(
            _spill(_move(each, moved.get(each.environment)), spills.get(each.environment, ()))
            for each in endpoint.deployments
        )
        return endpoint if deployments == endpoint.deployments else replace(endpoint, deployments=deployments)


Live = Mapping[str, Facts]
"""By the path of the endpoint."""


class Overlay:
    """Lays what moves over one graph after the other, and keeps what it made."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Endpoint, Facts, Endpoint]] = {}
        self._last: Graph | None = None

    def lay(self, graph: Graph, live: Live) -> Graph:
        """The graph as it is now; the same object if nothing moves."""
        put: dict[str, dict[str, Endpoint]] = defaultdict(dict)
        kept = {}
        for path, facts in live.items():
            endpoint = graph.endpoints.get(path)
            if endpoint is None:
                continue
            kept[path] = known = self._lay_one(endpoint, facts)
            if known[2] is not endpoint:
                put[endpoint.workspace][path] = known[2]
        self._made = kept
        self._last = self._put(graph, put) if put else graph
        return self._last

    def _lay_one(self, endpoint: Endpoint, facts: Facts) -> tuple[Endpoint, Facts, Endpoint]:
        known = self._made.get(endpoint.path)
        if known is not None and known[0] is endpoint and known[1] == facts:
            return known
        return endpoint, facts, facts.lay(endpoint)

    def _put(self, graph: Graph, put: Mapping[str, Mapping[str, Endpoint]]) -> Graph:
        tenants = {}
        for name, endpoints in put.items():
            tenant = graph.tenants[name]
            tenants[name] = replace(tenant, endpoints=tenant.endpoints.amend((), endpoints))
        return Graph(
            graph.places, graph.edges, graph.authorities, graph.tenants.amend((), tenants), before=self._last
        )


def _move(deployment: Deployment, moved: Moved | None) -> Deployment:
    plan = deployment.rollout
    if moved is None or plan is None or plan.identity != (moved.old, moved.new):
        return deployment
    revisions = divide(deployment.revisions, plan, moved.percent)
    return deployment if revisions == deployment.revisions else replace(deployment, revisions=revisions)


def _spill(deployment: Deployment, regions: tuple[str, ...]) -> Deployment:
    if not regions or all(each.routing.overflow is None for each in deployment.revisions):
        return deployment
    return replace(
        deployment, revisions=tuple(replace(each, spills=regions) for each in deployment.revisions)
    )
