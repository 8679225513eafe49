"""The builder: each load of the policy set becomes the next graph, and what is broken stays as it last was."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

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
from .fleet import Fleet, build_fleet, check_gateways
from .graph import Graph, Tenant
from .ground import Ground, Grounds
from .hold import NOTHING, Hold, hold_fleet
from .place import Place
from .reference import Dangling, Declared
from .stray import find_strays
from .tenant import EndpointCache, TenantSource, build_tenant


@dataclass(frozen=True, slots=True)
class Built:
    """The graph to serve, all that is wrong, and what is therefore older than its manifests.

    ``kept`` names the workspaces that stay at their last good state, ``fleet_kept`` says so of the fleet's manifests;
    ``grounds`` is what each part of the graph was made of.
    """

    graph: Graph
    diagnostics: tuple[Diagnostic, ...]
    kept: frozenset[str]
    fleet_kept: bool
    grounds: Grounds = field(default_factory=dict, repr=False)

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
        self._grounds: Grounds = {}
        self._files: Mapping[str, bytes] = {}
        self._sources: dict[str, tuple[Manifest, ...]] = {}
        self._results: dict[str, _Result] = {}
        self._caches: dict[str, EndpointCache] = defaultdict(EndpointCache)

    @property
    def graph(self) -> Graph | None:
        """The last graph, which the next one is built on; ``None`` before the first."""
        return self._graph

    def resume(self, graph: Graph, grounds: Grounds) -> None:
        """Go on from a graph, whatever was built since: a workspace with an error stays as it is there."""
        self._graph, self._grounds = graph, grounds
        self._results.clear()

    def build(self, loaded: Loaded, hold: Hold = NOTHING) -> Built:
        """The next graph. Nothing that a broken manifest says takes effect, and nothing it bounds is widened.

        What ``hold`` names stays as it was, as if it were broken.
        """
        previous = self._graph
        fleet, found = build_fleet(loaded), [*loaded.diagnostics]
        fleet_kept = any(each.breaks_fleet for each in found)
        ground = Ground(
            tuple(each for each in loaded.manifests if each.kind in FLEET_KINDS), loaded.attachments
        )
        if fleet_kept:
            fleet = _last_fleet(previous, fleet)
            ground = self._grounds.get(None, ground)
        elif previous is not None and hold is not NOTHING:
            fleet, ground = hold_fleet(previous, fleet, hold, self._grounds.get(None), ground)
        moved = previous is None or fleet_changed(fleet, previous) or self._files != loaded.attachments
        if not moved:
            ground = self._grounds.get(None, ground)
        self._files = dict(loaded.attachments)
        grounds: dict[str | None, Ground] = {}
        if fleet.edges or not fleet_kept:
            grounds[None] = ground
        tenants: dict[str, Tenant] = {}
        kept = set()
        faulty: list[Diagnostic] = []
        sources = split(loaded)
        strays = find_strays(sources, loaded.broken, previous)
        losers = frozenset[str]().union(*strays.values())
        names = sources.keys() | (previous.tenants.keys() if previous is not None else set())
        for name in sorted(names):
            source = sources.get(name, TenantSource(None, (), (), ()))
            tenant, faults, own = self._build_tenant(name, source, (fleet, ground), loaded, moved)
            faulty += faults
            broken = name in losers or any(each.breaks(name) for each in (*loaded.diagnostics, *faults))
            if broken:
                kept.add(name)
            if broken or name in hold.workspaces:
                tenant = _keep(previous, name, fleet.places)
                own = self._grounds.get(name, own)
            if tenant is not None:
                tenants[name], grounds[name] = tenant, own
        for draft in loaded.broken:
            faulty += check_draft(draft, sources, fleet)
        if not fleet_kept:
            declared = {name for name, source in sources.items() if source.workspace is not None}
            faulty += check_gateways(fleet, sorted(tenants.keys() | declared))
        found += [_widen(each, strays) for each in _mistakes(faulty, loaded, fleet_kept)]
        self._forget(sources.keys())
        self._graph, self._grounds = Graph(fleet.places, fleet.edges, fleet.authorities, tenants), grounds
        return Built(self._graph, tuple(sorted(set(found))), frozenset(kept), fleet_kept, grounds)

    def _build_tenant(
        self, name: str, source: TenantSource, base: tuple[Fleet, Ground], loaded: Loaded, moved: bool
    ) -> _Result:
        manifests = source.manifests
        before = self._sources.get(name, ())
        same = len(before) == len(manifests) and all(a is b for a, b in zip(before, manifests, strict=True))
        if not same or moved or name not in self._results:
            tenant, faults = build_tenant(source, base[0], loaded, self._caches[name])
            self._sources[name] = manifests
            own = Ground(manifests, loaded.attachments, base[1])
            self._results[name] = (tenant, tuple(faults), own)
        return self._results[name]

    def _forget(self, current: object) -> None:
        for name in [each for each in self._sources if each not in current]:  # type: ignore[operator]
            del self._sources[name]
            self._results.pop(name, None)
            self._caches.pop(name, None)


_Result = tuple[Tenant | None, tuple[Diagnostic, ...], Ground]


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


def split(loaded: Loaded) -> dict[str, TenantSource]:
    """The manifests of each workspace."""
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
