"""Continuity: since when no cluster has gone, so that what clients have from any catalogue since is in the newest, too.

Traffic that moves makes a catalogue a second and takes nothing away: of such ones there is nothing to remember.
"""

from __future__ import annotations

from collections.abc import Mapping

from xds_server.graph import Endpoint, Graph
from xds_server.shards import Shards
from xds_server.snapshot import Layer, Resource
from xds_server.wire import type_url

from .names import CLUSTER

_CLUSTERS = type_url(CLUSTER)


class Continuity:
    """Follows graphs from one generation to the next. A follow costs a look at the endpoints that changed."""

    def __init__(self) -> None:
        self._graph = Graph()
        self._gateways: Mapping[str, Layer] = {}
        self._since = 0

    def follow(self, generation: int, graph: Graph, gateways: Mapping[str, Layer]) -> int:
        """The first generation since which no cluster has gone; ``gateways`` are the layers compiled of the graph."""
        if self._lose_models(graph) or self._lose_fleet(graph, gateways):
            self._since = generation
        self._graph, self._gateways = graph, gateways
        return self._since

    def _lose_models(self, graph: Graph) -> bool:
        last = self._graph.endpoints
        changed, gone = graph.endpoints.since(last)
        return bool(gone) or any(
            _names(was) - _names(graph.endpoints[path]) for path, was in last.pick(changed)
        )

    def _lose_fleet(self, graph: Graph, gateways: Mapping[str, Layer]) -> bool:
        """Gateways, the clusters by which keys are fetched, and what is a gateway's own: of clients without Envoy."""
        if self._gateways.keys() - gateways.keys() or _fetched(self._graph) - _fetched(graph):
            return True
        return any(
            _lacks(gateways[name].get(_CLUSTERS, {}), was.get(_CLUSTERS, {}))
            for name, was in self._gateways.items()
        )


def _names(endpoint: Endpoint) -> frozenset[tuple[str, str]]:
    return frozenset((environment, revision) for environment, revision, _ in endpoint.revisions)


def _fetched(graph: Graph) -> frozenset[str]:
    return frozenset(name for name, each in graph.authorities.items() if each.jwks is None)


def _lacks(now: Mapping[str, Resource], was: Mapping[str, Resource]) -> bool:
    if isinstance(now, Shards) and isinstance(was, Shards):
        return bool(now.since(was).gone)
    return not was.keys() <= now.keys()
