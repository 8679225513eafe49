"""Restoration: a graph made again from what its parts were last good with, each part by itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from xds_server.policy import Diagnostic, Loaded, Roster
from xds_server.shards import EMPTY, Shards

from .fleet import Fleet, build_fleet
from .graph import Graph, Tenant
from .ground import Ground, Grounds
from .restriction import distrust, restrict
from .tenant import EndpointCache, TenantSource, build_tenant


@dataclass(frozen=True, slots=True)
class Remains:
    """What there is of one workspace: its manifests, and those of the fleet that they referred to, if not today's."""

    loaded: Loaded
    fleet: Loaded | None = None


@dataclass(frozen=True, slots=True)
class Restored:
    """The graph and what it is made of; ``lost`` says why a part (``None``: the fleet) could not be made again."""

    graph: Graph
    grounds: Grounds
    lost: Mapping[str | None, Diagnostic]


def restore(fleet: Loaded | None, workspaces: Mapping[str, Remains], today: Loaded | None = None) -> Restored:
    """Make the graph of a fleet and its workspaces.

    Without a fleet (there is none, or it is of no use) workspaces are resolved against ``today``'s, and the graph has
    no gateway.
    """
    lost: dict[str | None, Diagnostic] = {}
    grounds: dict[str | None, Ground] = {}
    broken = (
        next((each for each in fleet.diagnostics if each.breaks_fleet), None) if fleet is not None else None
    )
    if broken is not None:
        lost[None] = broken
    if fleet is not None and broken is None:
        base, ground = _found(fleet)
        grounds[None] = ground
    else:
        base, ground = _found(today) if today is not None else _found(Loaded(EMPTY))
        base = Fleet(base.places, {}, base.authorities, base.publishers)
    tenants: dict[str, Tenant] = {}
    for name, remains in sorted(workspaces.items()):
        old, own = _found(remains.fleet) if remains.fleet is not None else (base, ground)
        source = TenantSource.of(remains.loaded.rosters.get(name, Roster()))
        tenant, faults = build_tenant(source, old, remains.loaded, EndpointCache())
        errors = [each for each in (*remains.loaded.diagnostics, *faults) if each.breaks(name)]
        if errors:
            lost[name] = errors[0]
        elif tenant is not None:
            if old is not base:
                tenant = distrust(restrict(tenant, base), base.authorities)
            tenants[name] = tenant
            grounds[name] = Ground(source.roster, remains.loaded.attachments, own)
    graph = Graph(base.places, base.edges, base.authorities, Shards(tenants), base.publishers)
    return Restored(graph, grounds, lost)


def _found(loaded: Loaded) -> tuple[Fleet, Ground]:
    return build_fleet(loaded), Ground(loaded.fleet, loaded.attachments)
