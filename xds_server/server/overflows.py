"""Overflows: whose home has too much to do, from what the Envoys of each region report to be in progress."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Any, NamedTuple

import structlog

from xds_server.archive import Journal
from xds_server.graph import Deployment, Endpoint, Graph, order_backends
from xds_server.graph import Place as Origin
from xds_server.protocol import Node
from xds_server.rollout import AT_HOME, Overflow, Pressure, Spill, decide
from xds_server.server.load_reports import Load, Place
from xds_server.server.memory import Memory, join_deployment, split_deployment
from xds_server.server.metrics import Metrics
from xds_server.server.readiness import Readiness
from xds_server.shards import EMPTY, Shards

log = structlog.get_logger("fairlead.overflows")

Key = tuple[str, str, str]
"""The path of an endpoint, the environment, and the region of the Envoys."""


class _Watched(NamedTuple):
    path: str
    deployment: Deployment
    overflow: Overflow
    clusters: tuple[str, ...]
    """Of its revisions, in their order."""


@dataclass(frozen=True, slots=True)
class _Said:
    """One report, as far as it is of what is watched."""

    named: frozenset[str] = frozenset()
    """The clusters that it names."""
    busy: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Requests in progress by cluster and place; what is not in it is 0."""


@dataclass(slots=True)
class _Reporter:
    """An Envoy, with its last two reports, the newest first.

    Envoy leaves out a cluster that it did not have when the interval began, however much there is to do for it by now:
    https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/load_stats/v3/lrs.proto
    So only what is not named twice in a row has nothing in progress; once, it counts as it last was said to be.
    """

    region: str
    said: tuple[_Said, ...] = ()
    seconds: float = 0.0
    """How far its reports go back; 0 as long as none has told."""

    def find(self, cluster: str) -> Mapping[str, int] | None:
        """What is in progress by place; `None` if it has had no chance to say so yet."""
        for each in self.said:
            if cluster in each.named:
                return each.busy.get(cluster, {})
        return {} if len(self.said) > 1 else None


class Overflows:
    """All deployments that declare an overflow. ``on_move`` is called when places are to be given other shares.

    A report is looked at when it comes; it costs what it tells of deployments with an overflow.
    """

    def __init__(
        self,
        metrics: Metrics,
        readiness: Readiness,
        journal: Journal | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.on_move: Callable[[], None] = lambda: None
        self.spilling: Mapping[str, tuple[tuple[str, tuple[str, ...]], ...]] = {}
        """By path, the environments with the regions that spill. Replaced, never changed: another thread reads it."""
        self._metrics = metrics
        self.memory = Memory("overflows", "begin with none", readiness, journal, now)
        self._now = now
        self._origins: Mapping[str, Origin] = {}
        self._endpoints: Shards[Endpoint] = EMPTY
        self._watched: dict[tuple[str, str], _Watched] = {}
        """By path and environment."""
        self._owners: dict[str, tuple[str, str]] = {}
        """By cluster, whose it is of those watched."""
        self._reporters: dict[str, _Reporter] = {}
        self._named: frozenset[str] = frozenset()
        """Of what is watched, what was named in the last report of any Envoy."""
        self._spills: dict[Key, Spill] = {}
        self._recall()

    def _recall(self) -> None:
        for name, regions in self.memory.recall().items():
            path, environment = split_deployment(name)
            for region in regions if isinstance(regions, list) else ():
                self._spills[path, environment, str(region)] = Spill(True)
        self._publish()

    def follow(self, graph: Graph) -> None:
        """Take note of the graph that is served from now on."""
        changed, gone = graph.endpoints.since(self._endpoints)
        self._endpoints, self._origins = graph.endpoints, graph.regions
        stale, known = changed | gone, frozenset(self._owners)
        for owner in [each for each in self._watched if each[0] in stale]:
            for name in self._watched.pop(owner).clusters:
                del self._owners[name]
        for path in changed:
            for each in _find(graph.endpoints[path]):
                owner = (path, each.deployment.environment)
                self._watched[owner] = each
                self._owners |= dict.fromkeys(each.clusters, owner)
        if self._owners.keys() - known:
            self._ask_again()
        for key in [key for key in self._spills if key[:2] not in self._watched]:
            del self._spills[key]
        self._publish()

    def _ask_again(self) -> None:
        """Count nothing that was reported before a cluster was watched: it would not be named there."""
        for reporter in self._reporters.values():
            reporter.said = ()

    def take(
        self, node: Node, report: Sequence[tuple[Place, Load]], seconds: float, named: frozenset[str]
    ) -> None:
        """Take a report of a node, over its last so many seconds (0: it does not tell), and of these clusters."""
        reporter = self._reporters.setdefault(node.id, _Reporter(node.region))
        busy: dict[str, dict[str, int]] = defaultdict(dict)
        for place, load in report:
            if load.in_progress and place.cluster in self._owners:
                busy[place.cluster][place.zone] = load.in_progress
        before = reporter.said[:1]
        reporter.region, reporter.seconds = node.region, seconds or reporter.seconds
        reporter.said = (_Said(self._share(named), busy), *before)
        told = {*busy, *(cluster for each in before for cluster in each.busy)}
        touched = {self._owners[name] for name in told if name in self._owners}
        # Of who has nothing to do there is no row: where a region spills, every report is news.
        touched |= {key[:2] for key in self._spills if key[2] == node.region}
        for owner in touched & self._watched.keys():
            self._look(self._watched[owner], node.region)

    def _share(self, named: frozenset[str]) -> frozenset[str]:
        """Those of these clusters that are watched; mostly the same for all Envoys, and then one object."""
        watched = frozenset(name for name in self._owners if name in named)
        if watched != self._named:
            self._named = watched
        return self._named

    def leave(self, node: Node) -> None:
        """Forget what a node reported: it reports no more."""
        self._reporters.pop(node.id, None)

    def _look(self, watched: _Watched, region: str) -> None:
        key = (watched.path, watched.deployment.environment, region)
        last = self._spills.get(key, AT_HOME)
        here = [each for each in self._reporters.values() if each.region == region]
        pressure = self._measure(watched, region, here)
        state = decide(watched.overflow, last, pressure, self._now(), _find_interval(watched, here))
        if state == AT_HOME:
            self._spills.pop(key, None)
        else:
            self._spills[key] = state
        if state.spilling != last.spilling:
            log.info(
                "overflow" if state.spilling else "overflow is over",
                model=key[0],
                environment=key[1],
                region=region,
                home=pressure.home,
                beyond=pressure.beyond,
                share=watched.overflow.share,
            )
            self._publish()

    def _measure(self, watched: _Watched, region: str, here: Iterable[_Reporter]) -> Pressure:
        """What the Envoys of a region have in progress in the first place and in the next, over all revisions."""
        origin = self._origins.get(region)
        home = beyond = 0
        for revision, cluster in zip(watched.deployment.revisions, watched.clusters, strict=True):
            order = [tier.place.name for tier in order_backends(revision, origin) if not tier.standby]
            for busy in filter(None, (each.find(cluster) for each in here)):
                home += sum(busy.get(place, 0) for place in order[:1])
                beyond += sum(busy.get(place, 0) for place in order[1:2])
        return Pressure(home, beyond)

    def _publish(self) -> None:
        regions: dict[tuple[str, str], list[str]] = defaultdict(list)
        for path, environment, region in sorted(self._spills):
            regions[path, environment].append(region)
        told: dict[str, list[tuple[str, tuple[str, ...]]]] = defaultdict(list)
        for (path, environment), each in regions.items():
            told[path].append((environment, tuple(each)))
        spilling = {path: tuple(each) for path, each in told.items()}
        if spilling != self.spilling:
            self.spilling = spilling
            self._metrics.spilling.set(len(self._spills))
            self.on_move()

    async def keep(self) -> None:
        """Write down what spills, for the next process."""
        await self.memory.keep(self._write)

    def _write(self) -> dict[str, Any]:
        return {
            join_deployment(path, environment): list(regions)
            for path, each in self.spilling.items()
            for environment, regions in each
        }

    def describe(self) -> list[dict[str, Any]]:
        """Describe what spills now."""
        return [
            {"path": path, "environment": environment, "regions": list(regions)}
            for path, each in sorted(self.spilling.items())
            for environment, regions in each
        ]


def _find_interval(watched: _Watched, here: Collection[_Reporter]) -> float | None:
    """Seconds in which every Envoy reports once; `None` as long as one has not had its say, or none tells."""
    if any(each.find(cluster) is None for each in here for cluster in watched.clusters):
        return None
    return max((each.seconds for each in here), default=0.0) or None


def _find(endpoint: Endpoint) -> Iterator[_Watched]:
    if endpoint.unbuilt is not None:  # nothing is put off of what moves
        return
    for each in endpoint.deployments:
        # All revisions of a deployment have its routing.
        overflow = each.revisions[0].routing.overflow
        if overflow is not None:
            clusters = tuple(f"{endpoint.path}/{each.environment}/{name.name}" for name in each.revisions)
            yield _Watched(endpoint.path, each, overflow, clusters)
