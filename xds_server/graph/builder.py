"""The builder: each load of the policy set becomes the next graph, and what is broken stays as it last was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from xds_server.policy import EVERYTHING, Diagnostic, Loaded, Roster
from xds_server.shards import Shards

from .draft import check_draft
from .fleet import Fleet, build_fleet, check_gateways
from .graph import Graph, Tenant
from .ground import Ground, Grounds
from .hold import NOTHING, Hold, hold_fleet
from .publisher import follow_publishers
from .reference import Dangling, Declared
from .restriction import keep
from .stray import find_strays
from .workspaces import Base, Workspaces


@dataclass(frozen=True, slots=True)
class Built:
    """The graph to serve, all that is wrong, and what is therefore older than its manifests.

    ``kept`` names the workspaces that stay at their last good state, ``fleet_kept`` says so of the fleet's manifests;
    ``grounds`` is what each part of the graph was made of. ``held``: something stays as it was though nothing is wrong
    with what it would be.
    """

    graph: Graph
    diagnostics: tuple[Diagnostic, ...]
    kept: frozenset[str]
    fleet_kept: bool
    grounds: Grounds = field(default_factory=dict, repr=False)
    held: bool = False

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
        self._fleet: tuple[Roster, Mapping[str, bytes], Mapping[str, str], Fleet] | None = None
        self._base: Base | None = None
        self._workspaces = Workspaces()

    @property
    def graph(self) -> Graph | None:
        """The last graph, which the next one is built on; ``None`` before the first."""
        return self._graph

    def resume(self, graph: Graph, grounds: Grounds) -> None:
        """Go on from a graph, whatever was built since: a workspace with an error stays as it is there."""
        self._graph, self._grounds = graph, grounds

    def build(self, loaded: Loaded, hold: Hold = NOTHING, vouched: Mapping[str, str] | None = None) -> Built:
        """The next graph. Nothing that a broken manifest says takes effect, and nothing it bounds is widened.

        What ``hold`` names stays as it was, as if it were broken. ``vouched`` names workspaces with the digest of the
        ``Context`` in which all their workloads that have a brief were good.
        """
        previous, every = self._graph, self._workspaces
        fleet_kept = any(each.breaks_fleet for each in loaded.diagnostics)
        base = self._lay(loaded, hold, fleet_kept)
        try:
            every.update(loaded, base, vouched or {})
        except BaseException:
            self._workspaces = Workspaces()  # half of it may have followed: the next build resolves all anew
            raise
        strays = find_strays(every.sources, every.undeclared, loaded.broken, previous)
        kept = self._find_broken(loaded, frozenset[str]().union(*strays.values()))
        tenants, grounds = self._settle(kept | hold.workspaces, base.fleet)
        if base.fleet.edges or not fleet_kept:
            grounds[None] = base.ground
        faulty = [fault for each in every.faults.values() for fault in each]
        for draft in loaded.broken:
            faulty += check_draft(draft, every.sources, base.fleet)
        if not fleet_kept:
            faulty += check_gateways(base.fleet, tenants.keys() | (every.sources.keys() - every.undeclared))
        found = [*loaded.diagnostics]
        found += [_widen(each, strays) for each in _mistakes(faulty, loaded, fleet_kept)]
        fleet = base.fleet
        self._graph = Graph(
            fleet.places, fleet.edges, fleet.authorities, tenants, fleet.publishers, before=previous
        )
        self._grounds = grounds
        held = hold is not NOTHING
        return Built(self._graph, tuple(sorted(set(found))), kept, fleet_kept, grounds, held)

    def _lay(self, loaded: Loaded, hold: Hold, fleet_kept: bool) -> Base:
        """What the workspaces stand on: the fleet as declared, or as it last was where that is broken or held."""
        previous, last = self._graph, self._base
        fleet, ground = self._read_fleet(loaded), Ground(loaded.fleet, loaded.attachments)
        if fleet_kept:
            fleet = _last_fleet(previous, fleet, loaded)
            ground = self._grounds.get(None, ground)
        elif previous is not None and hold is not NOTHING:
            fleet, ground = hold_fleet(previous, fleet, hold, self._grounds.get(None), loaded)
        if last is not None and (fleet, loaded.attachments) == (last.fleet, last.attachments):
            ground = last.ground  # not `self._grounds`: those may be of a graph that was gone back to
        self._base = Base(fleet, ground, loaded.attachments)
        return self._base

    def _read_fleet(self, loaded: Loaded) -> Fleet:
        if self._fleet is not None:
            roster, attachments, unfetched, fleet = self._fleet
            same = roster is loaded.fleet and attachments is loaded.attachments
            if same and unfetched == loaded.unfetched:
                return fleet
        fleet = build_fleet(loaded)
        self._fleet = (loaded.fleet, loaded.attachments, loaded.unfetched, fleet)
        return fleet

    def _find_broken(self, loaded: Loaded, losers: frozenset[str]) -> frozenset[str]:
        """The workspaces that have to stay as they last were."""
        every = self._workspaces
        names = every.sources.keys() | (self._graph.tenants.keys() if self._graph is not None else set())
        errors = [each for each in loaded.diagnostics if each.is_error]
        suspects: set[str] = {*losers, *every.faults}
        for each in errors:
            suspects |= each.workspaces or set()
        if suspects >= EVERYTHING:
            return frozenset(names)
        return frozenset(
            name
            for name in suspects & names
            if name in losers or any(each.breaks(name) for each in (*errors, *every.faults.get(name, ())))
        )

    def _settle(
        self, staying: frozenset[str], fleet: Fleet
    ) -> tuple[Shards[Tenant], dict[str | None, Ground]]:
        """The tenants and what they are made of: those that stay as they last were, the others as they are declared."""
        every = self._workspaces
        grounds: dict[str | None, Ground] = dict(every.grounds)
        put: dict[str, Tenant] = {}
        for name in staying:
            tenant = keep(self._graph, name, fleet)
            if tenant is None:
                grounds.pop(name, None)
            else:
                put[name], grounds[name] = tenant, self._grounds[name]
        return every.tenants.amend(staying - put.keys(), put), grounds


def _last_fleet(previous: Graph | None, broken: Fleet, loaded: Loaded) -> Fleet:
    if previous is None or not previous.edges:  # no gateway is served, so nothing can be widened
        return Fleet(broken.places, {}, broken.authorities, broken.publishers)
    # Whoever publishes has no part in the mistake, and may take something back meanwhile.
    publishers = follow_publishers(previous.publishers, broken.publishers, loaded)
    return Fleet(previous.places, previous.edges, previous.authorities, publishers)


def _mistakes(found: list[Diagnostic], loaded: Loaded, fleet_kept: bool) -> list[Diagnostic]:
    """Without references to what is declared and only broken: the mistake to mend is there, and told there."""
    if not found:
        return []
    idle = loaded.fleet if fleet_kept else ()
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
