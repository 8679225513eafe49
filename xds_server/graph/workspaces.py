"""Every workspace resolved for itself: again only when what it declares, or what all stand on, changed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from xds_server.policy import FLEET, Diagnostic, Loaded, Roster
from xds_server.shards import EMPTY, Shards

from .fleet import Fleet
from .graph import Tenant
from .ground import Ground
from .tenant import EndpointCache, TenantSource, build_tenant

_NOBODY: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Base:
    """What all workspaces stand on: the fleet, what that was made of, and the files of the policy set."""

    fleet: Fleet
    ground: Ground
    attachments: Mapping[str, bytes] = field(default_factory=dict)


class Workspaces:
    """All workspaces as their manifests say, mistaken or not. `update` has them follow a load."""

    def __init__(self) -> None:
        self.sources: dict[str, TenantSource] = {}
        self.tenants: Shards[Tenant] = EMPTY
        self.grounds: dict[str | None, Ground] = {}
        """Of the tenants: what each was made of."""
        self.faults: dict[str, tuple[Diagnostic, ...]] = {}
        """Of the workspaces that have some: what is wrong within them."""
        self.undeclared: set[str] = set()
        """Workspaces that others name, and nobody declares."""
        self._rosters: Shards[Roster] = EMPTY
        self._base: Base | None = None
        self._caches: dict[str, EndpointCache] = defaultdict(EndpointCache)

    def update(self, loaded: Loaded, base: Base, vouched: Mapping[str, str] = _NOBODY) -> None:
        """Resolve what changed, or all if the base did.

        Of workspaces that are `vouched` for, workloads with a brief are resolved when they are wanted, if the context
        has the digest that is said there.
        """
        for name, digest in vouched.items():
            self._caches[name].vouched = digest
        rosters = loaded.rosters.amend([FLEET])
        changed, gone = rosters.since(self._rosters)
        last = self._base
        if last is None or (base.fleet, base.attachments) != (last.fleet, last.attachments):
            changed = frozenset(rosters)
            self._base = base
        tenants: dict[str, Tenant] = {}
        for name in changed:
            tenant = self._resolve(name, rosters[name], loaded, base)
            if tenant is not None:
                tenants[name] = tenant
        for name in gone:
            self._forget(name)
        self.tenants = self.tenants.amend((changed | gone) - tenants.keys(), tenants)
        self._rosters = rosters

    def _resolve(self, name: str, roster: Roster, loaded: Loaded, base: Base) -> Tenant | None:
        source = self.sources.get(name)
        if source is None or source.roster is not roster:
            source = TenantSource.of(roster)
        tenant, faults = build_tenant(source, base.fleet, loaded, self._caches[name])
        self.sources[name] = source
        self.undeclared.discard(name)
        self.faults.pop(name, None)
        if source.workspace is None:
            self.undeclared.add(name)
            self.grounds.pop(name, None)
        else:
            self.grounds[name] = Ground(roster, base.attachments, base.ground, self._caches[name].context)
        if faults:
            self.faults[name] = tuple(faults)
        return tenant

    def _forget(self, name: str) -> None:
        del self.sources[name], self._caches[name]
        self.grounds.pop(name, None)
        self.faults.pop(name, None)
        self.undeclared.discard(name)
