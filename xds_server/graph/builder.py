"""The builder: each load of the policy set becomes the next graph, and what is broken stays as it last was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from xds_server.policy import (
    FLEET_KINDS,
    Diagnostic,
    Environment,
    Loaded,
    Manifest,
    Policy,
    Workload,
    Workspace,
)

from .draft import check_draft
from .endpoint import Backend
from .fleet import Fleet, build_fleet
from .graph import Graph, Tenant
from .place import Place
from .reference import Dangling, Declared
from .stray import find_strays
from .tenant import EndpointCache, TenantSource, build_tenant


@dataclass(frozen=True, slots=True)
class Built:
    """The graph to serve, all that is wrong, and what is therefore older than its manifests.

    ``kept`` names the workspaces that stay at their last good state, ``fleet_kept`` says so of the fleet's manifests.
    """

    graph: Graph
    diagnostics: tuple[Diagnostic, ...]
    kept: frozenset[str]
    fleet_kept: bool

    @property
    def servable(self) -> bool:
        """Whether there is something to serve: a fleet was good at least once. Before that, nothing is sent."""
        return not self.fleet_kept or bool(self.graph.edges)

    @property
    def errors(self) -> tuple[Diagnostic, ...]:
        """The diagnostics that keep something from taking effect."""
        return tuple(each for each in self.diagnostics if each.is_error)


class Builder:
    """Builds graphs one after the other. A workspace with an error keeps its last good state; others move on."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._files: Mapping[str, bytes] = {}
        self._sources: dict[str, tuple[Manifest, ...]] = {}
        self._results: dict[str, tuple[Tenant | None, tuple[Diagnostic, ...]]] = {}
        self._caches: dict[str, EndpointCache] = defaultdict(EndpointCache)

    def build(self, loaded: Loaded) -> Built:
        """The next graph. Nothing that a broken manifest says takes effect, and nothing it bounds is widened."""
        previous = self._graph
        fleet, found = build_fleet(loaded), [*loaded.diagnostics]
        fleet_kept = any(each.breaks_fleet for each in found)
        if fleet_kept:
            fleet = _last_fleet(previous, fleet)
        moved = previous is None or fleet_changed(fleet, previous) or self._files != loaded.attachments
        self._files = dict(loaded.attachments)
        tenants: dict[str, Tenant] = {}
        kept = set()
        faulty: list[Diagnostic] = []
        sources = _split(loaded)
        strays = find_strays(sources, loaded.broken, previous)
        losers = frozenset[str]().union(*strays.values())
        names = sources.keys() | (previous.tenants.keys() if previous is not None else set())
        for name in sorted(names):
            source = sources.get(name, TenantSource(None, (), (), ()))
            tenant, faults = self._build_tenant(name, source, fleet, loaded, moved)
            faulty += faults
            if name in losers or any(each.breaks(name) for each in (*loaded.diagnostics, *faults)):
                kept.add(name)
                tenant = _keep(previous, name, fleet.places)
            if tenant is not None:
                tenants[name] = tenant
        for draft in loaded.broken:
            faulty += check_draft(draft, sources, fleet)
        found += [_widen(each, strays) for each in _mistakes(faulty, loaded, fleet_kept)]
        self._forget(sources.keys())
        self._graph = Graph(fleet.places, fleet.edges, fleet.authorities, tenants)
        return Built(self._graph, tuple(sorted(set(found))), frozenset(kept), fleet_kept)

    def _build_tenant(
        self, name: str, source: TenantSource, fleet: Fleet, loaded: Loaded, moved: bool
    ) -> tuple[Tenant | None, tuple[Diagnostic, ...]]:
        manifests = source.manifests
        before = self._sources.get(name, ())
        same = len(before) == len(manifests) and all(a is b for a, b in zip(before, manifests, strict=True))
        if not same or moved or name not in self._results:
            tenant, faults = build_tenant(source, fleet, loaded, self._caches[name])
            self._sources[name] = manifests
            self._results[name] = (tenant, tuple(faults))
        return self._results[name]

    def _forget(self, current: object) -> None:
        for name in [each for each in self._sources if each not in current]:  # type: ignore[operator]
            del self._sources[name]
            del self._results[name]
            self._caches.pop(name, None)


def fleet_changed(fleet: Fleet, graph: Graph) -> bool:
    """Whether the fleet's part differs from the graph's."""
    return (fleet.places, fleet.edges, fleet.authorities) != (graph.places, graph.edges, graph.authorities)


def _last_fleet(previous: Graph | None, broken: Fleet) -> Fleet:
    if previous is None or not previous.edges:  # no gateway is served, so nothing can be widened
        return Fleet(broken.places, {}, broken.authorities)
    return Fleet(previous.places, previous.edges, previous.authorities)


def _mistakes(found: Iterable[Diagnostic], loaded: Loaded, fleet_kept: bool) -> list[Diagnostic]:
    """Without references to what is declared and only broken: the mistake to mend is there, and told there."""
    idle = [each for each in loaded.manifests if each.kind in FLEET_KINDS] if fleet_kept else []
    declared = Declared(idle, loaded.broken)
    return [each for each in found if not (isinstance(each, Dangling) and declared.holds(each.target))]


def _widen(found: Diagnostic, strays: Mapping[Diagnostic, frozenset[str]]) -> Diagnostic:
    losers = strays.get(found)
    if losers is None:
        return found
    meant = " or ".join(f"`{name}`" for name in sorted(losers))
    workspaces = losers | (found.workspaces or frozenset())
    hint = f"did you mean {meant}? Until this is mended, what runs there stays as it last was"
    return replace(found, hint=hint, workspaces=workspaces)


_PARTS: dict[str, type[Manifest]] = {Environment.kind: Environment, Policy.kind: Policy}


def _split(loaded: Loaded) -> dict[str, TenantSource]:
    parts: dict[str, dict[type, list[Manifest]]] = defaultdict(lambda: defaultdict(list))
    for manifest in loaded.manifests:
        if manifest.kind == Workspace.kind:
            parts[manifest.name][Workspace].append(manifest)
        elif manifest.kind not in FLEET_KINDS:
            part = _PARTS.get(manifest.kind, Workload)
            parts[str(manifest.workspace)][part].append(manifest)
    return {
        name: TenantSource(
            workspace=next(iter(kinds[Workspace]), None),  # type: ignore[arg-type]
            environments=tuple(kinds[Environment]),  # type: ignore[arg-type]
            policies=tuple(kinds[Policy]),  # type: ignore[arg-type]
            workloads=tuple(kinds[Workload]),  # type: ignore[arg-type]
        )
        for name, kinds in parts.items()
    }


def _keep(previous: Graph | None, name: str, places: Mapping[str, Place]) -> Tenant | None:
    tenant = previous.tenants.get(name) if previous is not None else None
    return None if tenant is None else restrict(tenant, places)


def _relocate(backend: Backend, places: Mapping[str, Place]) -> Backend | None:
    """The backend in its place as that is today; ``None`` if the place, or its hardware there, is gone."""
    place = places.get(backend.place.name)
    flavor = place.flavor(backend.flavor.name) if place is not None and backend.flavor is not None else None
    if place is None or (flavor is None) is not (backend.flavor is None):
        return None
    return (
        backend
        if (place, flavor) == (backend.place, backend.flavor)
        else replace(backend, place=place, flavor=flavor)
    )


def restrict(tenant: Tenant, places: Mapping[str, Place]) -> Tenant:
    """A kept tenant on today's map: backends whose place is gone, or is no longer allowed, are out (fail closed)."""
    endpoints = []
    for endpoint in tenant.endpoints:
        deployments = []
        for deployment in endpoint.deployments:
            revisions = []
            for revision in deployment.revisions:
                allowed = []
                for backend in revision.backends:
                    today = _relocate(backend, places)
                    if today is not None and deployment.placement.admits(today.place, today.flavor):
                        allowed.append(today)
                same = tuple(allowed) == revision.backends
                revisions.append(revision if same else replace(revision, backends=tuple(allowed)))
            deployments.append(replace(deployment, revisions=tuple(revisions)))
        restricted = replace(endpoint, deployments=tuple(deployments))
        endpoints.append(endpoint if restricted == endpoint else restricted)
    return replace(tenant, endpoints=tuple(endpoints))
