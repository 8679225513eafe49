"""From a graph to a catalogue: one visitor per resource type, nothing compiled twice."""

from __future__ import annotations

from threading import Lock

from xds_server.graph import Graph, find_delivery
from xds_server.snapshot import Catalogue, Dialect, Layers

from .continuity import Continuity
from .nodes import compile_identities, compile_nodes
from .rendition import Rendition
from .secret import compile_system_roots
from .target import NEWEST, Fetching, Target, find_target
from .variation import Variation


class Compiler:
    """Compiles graphs, and keeps what it made of whatever stays the same.

    ``system_roots`` is a PEM bundle of public CAs, for ``https`` backends that name none. One thread at a time.
    """

    def __init__(self, system_roots: str) -> None:
        self._generation = 0
        self._plain = Rendition(compile_system_roots(system_roots))
        self._continuity = Continuity()
        self._variations: dict[Target, Variation] = {}
        self._fetching: dict[str, Fetching] = {}
        self._lock = Lock()

    def compile(self, graph: Graph) -> Catalogue:
        """The catalogue of a graph.

        A region's endpoints are compiled when a node of that region first asks, and what clients of another dialect
        are sent when one of them first asks.
        """
        self._generation += 1
        plain = self._plain.compile(graph)
        # Of a gateway that is gone the Envoys keep the listeners, and want the routes that go with them.
        self._fetching = fetching = {**self._fetching, **_list_fetching(graph)}
        spoken: dict[Target, Layers] = {}

        def speak(gateway: str, dialect: Dialect) -> Layers | None:
            target = find_target(dialect, fetching.get(gateway))
            if target == NEWEST:
                return None
            if target not in spoken:
                spoken[target] = self._vary(target).compile(graph, plain)
            return spoken[target]

        return Catalogue(
            self._generation,
            shared=plain.shared,
            gateways=plain.gateways,
            regional=plain.region,
            private=plain.private,
            speak=speak,
            nodes=compile_nodes(graph.edges.values()),
            identities=compile_identities(graph.edges.values()),
            intact_since=self._continuity.follow(self._generation, graph, plain.gateways),
        )

    def _vary(self, target: Target) -> Variation:
        with self._lock:  # an older catalogue may be asked while a newer one is
            return self._variations.setdefault(target, Variation(target))


def _list_fetching(graph: Graph) -> dict[str, Fetching]:
    """By gateway, how models come to its Envoys, where these can fetch them; none for clients without Envoy."""
    return {
        name: Fetching(edge.gateway.spec.timeouts.total, find_delivery(graph, edge) == "on-demand")
        for name, edge in graph.edges.items()
        if edge.gateway.spec.proxyless is None
    }
