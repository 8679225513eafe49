"""What moves at run time, laid over the graph that the policies make.

The graph that the builder goes on from stays as it is; what is compiled is the one that this module makes of it. Of
those that nothing moves, it has the same objects.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from xds_server.policy import parse_address

from .endpoint import Backend, Deployment, Endpoint, Revision
from .graph import Graph
from .place import Place
from .rollout import divide
from .routing import route


class Moved(NamedTuple):
    """How far a rollout between two revisions has come: the new one's share in percent."""

    old: str
    new: str
    percent: int


class Registered(NamedTuple):
    """A backend that registered itself, in words: a place, its hardware if it said so, an IP address and port."""

    location: str
    flavor: str | None
    authority: str
    weight: int


@dataclass(frozen=True, slots=True)
class Facts:
    """What moves of one endpoint: by environment, how far its rollout has come, and the regions that spill; by
    environment and revision, who registered."""

    rollouts: tuple[tuple[str, Moved], ...] = ()
    spills: tuple[tuple[str, tuple[str, ...]], ...] = ()
    registered: tuple[tuple[str, str, tuple[Registered, ...]], ...] = ()

    def lay(self, endpoint: Endpoint, places: Mapping[str, Place]) -> Endpoint:
        """The endpoint as it is now. What belongs to a deployment or rollout that is not there counts for nothing."""
        moved, spills = dict(self.rollouts), dict(self.spills)
        registered = {(environment, name): those for environment, name, those in self.registered}
        deployments = tuple(
            _spill(_move(each, moved.get(each.environment)), spills.get(each.environment, ()))
            for each in (_register(each, registered, places) for each in endpoint.deployments)
        )
        return endpoint if deployments == endpoint.deployments else replace(endpoint, deployments=deployments)


Live = Mapping[str, Facts]
"""By the path of the endpoint."""


class Overlay:
    """Lays what moves over one graph after the other, and keeps what it made."""

    def __init__(self) -> None:
        self._made: dict[str, tuple[Endpoint, Facts, Endpoint]] = {}
        self._places: Mapping[str, Place] = {}
        self._last: Graph | None = None

    def lay(self, graph: Graph, live: Live) -> Graph:
        """The graph as it is now; the same object if nothing moves."""
        if graph.places != self._places:
            self._made, self._places = {}, graph.places
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
        return endpoint, facts, facts.lay(endpoint, self._places)

    def _put(self, graph: Graph, put: Mapping[str, Mapping[str, Endpoint]]) -> Graph:
        tenants = {}
        for name, endpoints in put.items():
            tenant = graph.tenants[name]
            tenants[name] = replace(tenant, endpoints=tenant.endpoints.amend((), endpoints))
        return Graph(
            graph.places,
            graph.edges,
            graph.authorities,
            graph.tenants.amend((), tenants),
            graph.publishers,
            before=self._last,
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


def _register(
    deployment: Deployment,
    registered: Mapping[tuple[str, str], tuple[Registered, ...]],
    places: Mapping[str, Place],
) -> Deployment:
    revisions = []
    for revision in deployment.revisions:
        those = registered.get((deployment.environment, revision.name), ())
        if revision.registration is None or not those:
            revisions.append(revision)
        else:
            revisions.append(_add(deployment, revision, those, places))
    return replace(deployment, revisions=tuple(revisions)) if registered else deployment


def _add(
    deployment: Deployment, revision: Revision, those: tuple[Registered, ...], places: Mapping[str, Place]
) -> Revision:
    """The revision with those who registered: where policy allows it they serve, elsewhere they are refused."""
    declared = {(each.place.name, each.address.authority) for each in (*revision.backends, *revision.aside)}
    admitted, refused = list(revision.backends), list(revision.refused)
    for each in those:
        backend = build_registered(each, places)
        if backend is None or (each.location, backend.address.authority) in declared:
            continue
        allowed = deployment.placement.admits(backend.place, backend.flavor)
        (admitted if allowed else refused).append(backend)
    made = replace(revision, backends=tuple(admitted), refused=tuple(refused))
    routed = route(made, revision.routing)
    return replace(routed, aside=(*revision.aside, *routed.aside))


def build_registered(registered: Registered, places: Mapping[str, Place]) -> Backend | None:
    """The backend of who registered; ``None`` if its place, or its hardware there, does not exist."""
    place = places.get(registered.location)
    flavor = place.flavor(registered.flavor) if place is not None and registered.flavor is not None else None
    if place is None or (flavor is None) is not (registered.flavor is None):
        return None
    return Backend(
        place=place,
        flavor=flavor,
        address=parse_address(registered.authority),
        weight=registered.weight,
        standby=False,
        tls=None,
        path_prefix="",
        health_port=None,
        health_checked=True,
    )
