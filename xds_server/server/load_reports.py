"""What nodes report of their load: the last report and the totals, by node, cluster and locality."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from prometheus_client import Counter

from xds_server.protocol import Node
from xds_server.server.node_description import date

_ROWS: Final = 20_000
"""Pairs of cluster and locality kept of a node; a fleet's largest has fewer."""
_REMEMBERED: Final = 1000
"""Nodes without a stream that are still told of."""
_LABELS: Final = 1000
"""Clusters with time series of their own."""
OTHER: Final = "other"


class Place(NamedTuple):
    """A cluster's part in one locality."""

    cluster: str
    region: str = ""
    zone: str = ""
    sub_zone: str = ""
    priority: int = 0


class Load(NamedTuple):
    """Requests in one interval."""

    succeeded: int = 0
    failed: int = 0
    issued: int = 0
    dropped: int = 0
    """Of the cluster as a whole; its row has no locality."""
    in_progress: int = 0
    """When the interval ended; no sum."""

    def plus(self, other: Load) -> Load:
        """Add another interval, which came later."""
        return Load(
            self.succeeded + other.succeeded,
            self.failed + other.failed,
            self.issued + other.issued,
            self.dropped + other.dropped,
            other.in_progress,
        )


@dataclass(slots=True)
class _Row:
    last: Load
    total: Load
    at: float


@dataclass(slots=True)
class _Node:
    node: Node
    streams: int = 0
    gone: float | None = None
    reported: float | None = None
    rows: dict[Place, _Row] = field(default_factory=dict)
    left_out: int = 0


OnReport = Callable[[Node, Sequence[tuple[Place, Load]], float, frozenset[str]], None]
"""Takes a node's report: its rows, how many seconds it covers, and the clusters that it names."""


class LoadReports:
    """Bounded: a node that left is forgotten after `keep` seconds. `now` is the clock, in seconds since 1970.

    `counter` has the labels `cluster` and `outcome`. Clusters that `known` does not know, and those beyond the
    first thousand, share one label, so that a client cannot make time series.
    """

    def __init__(
        self, counter: Counter, known: Callable[[str], bool], now: Callable[[], float], keep: float = 900.0
    ) -> None:
        self.on_report: OnReport = lambda *_: None
        """Called with each report as it comes."""
        self.on_leave: Callable[[Node], None] = lambda _: None
        """Called when the last stream of a node has ended."""
        self._counter = counter
        self._known = known
        self._now = now
        self._keep = keep
        self._nodes: OrderedDict[str, _Node] = OrderedDict()
        self._labels: set[str] = set()

    def join(self, node: Node) -> None:
        """Take note of a node's stream. One that was gone starts from nothing."""
        self._trim()
        entry = self._nodes.get(node.id)
        if entry is None or not entry.streams:
            entry = self._nodes[node.id] = _Node(node)
        entry.streams += 1

    def leave(self, node: Node) -> None:
        """Take note of its end."""
        entry = self._nodes.get(node.id)
        if entry is not None and entry.streams:
            entry.streams -= 1
            if not entry.streams:
                entry.gone = self._now()
                self.on_leave(node)
                self._nodes.move_to_end(node.id)
        self._trim()

    def take(
        self,
        node: Node,
        report: Iterable[tuple[Place, Load]],
        seconds: float = 0.0,
        named: frozenset[str] = frozenset(),
    ) -> None:
        """Take a report of a node that has joined, over its last so many seconds.

        It is of the clusters that are ``named``; those without requests have no row.
        """
        entry = self._nodes[node.id]
        first = entry.reported is None
        entry.reported = at = self._now()
        rows = list(report)
        if rows or named or not first:  # with the first words on a stream, nothing is reported yet
            self.on_report(node, rows, seconds, named)
        for place, load in rows:
            self._count(place.cluster, load)
            row = entry.rows.get(place)
            if row is not None:
                row.last, row.total, row.at = load, row.total.plus(load), at
            elif len(entry.rows) < _ROWS:
                entry.rows[place] = _Row(load, load, at)
            else:
                entry.left_out += 1

    def _count(self, cluster: str, load: Load) -> None:
        label = cluster if cluster in self._labels else OTHER
        if label is OTHER and len(self._labels) < _LABELS and self._known(cluster):
            self._labels.add(cluster)
            label = cluster
        for outcome in ("succeeded", "failed", "issued", "dropped"):
            amount = getattr(load, outcome)
            if amount:
                self._counter.labels(label, outcome).inc(amount)

    def describe(self) -> dict[str, Any]:
        """Tell everything: each node's rows, and the sums by cluster over the nodes told of."""
        self._trim()
        sums: dict[str, Load] = {}
        for entry in self._nodes.values():
            for place, row in entry.rows.items():
                sums[place.cluster] = _add(sums.get(place.cluster, Load()), row.total)
        return {
            "clusters": {name: sums[name]._asdict() for name in sorted(sums)},
            "nodes": [_tell(entry) for _, entry in sorted(self._nodes.items())],
        }

    def _trim(self) -> None:
        limit = self._now() - self._keep
        # Those that left stand in the order in which they did.
        gone = [(name, entry.gone) for name, entry in self._nodes.items() if entry.gone is not None]
        surplus = len(gone) - _REMEMBERED
        for place, (name, since) in enumerate(gone):
            if place < surplus or since <= limit:
                del self._nodes[name]


def _add(one: Load, two: Load) -> Load:
    return one.plus(two)._replace(in_progress=one.in_progress + two.in_progress)


def _tell(entry: _Node) -> dict[str, Any]:
    return {
        "id": entry.node.id,
        "gateway": entry.node.cluster,
        "region": entry.node.region,
        "connected": entry.streams > 0,
        "reported": None if entry.reported is None else date(entry.reported),
        "left_out": entry.left_out,
        "loads": [
            place._asdict() | {"at": date(row.at), "last": row.last._asdict(), "total": row.total._asdict()}
            for place, row in sorted(entry.rows.items())
        ],
    }
