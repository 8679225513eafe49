"""The gateways of clients without Envoy: what each of them may see, and nothing else of the fleet."""

from __future__ import annotations

from dataclasses import dataclass, field

from xds_server.graph import Endpoint, Graph
from xds_server.shards import EMPTY, Shards
from xds_server.snapshot import Layer, Regional

from .index import EndpointIndex, RegionIndex
from .proxyless import compile_places, compile_services


@dataclass(slots=True)
class _Kept:
    services: EndpointIndex = field(default_factory=EndpointIndex)
    regions: RegionIndex[EndpointIndex] = field(default_factory=lambda: RegionIndex(EndpointIndex))
    _graph: Graph = field(default_factory=Graph)
    _workspaces: tuple[str, ...] = ()
    _endpoints: Shards[Endpoint] = EMPTY

    def select(self, graph: Graph, workspaces: tuple[str, ...]) -> Shards[Endpoint]:
        """The endpoints of workspaces that every member may call. Nobody could check the claims that others ask for,
        nor keep to the residency that a claim says."""
        last = self._graph if workspaces == self._workspaces else Graph()
        found = self._endpoints if workspaces == self._workspaces else EMPTY
        changed, gone = graph.endpoints.since(last.endpoints)
        wanted = set(workspaces)
        put = {
            path: endpoint
            for path in changed
            if (endpoint := graph.endpoints[path]).workspace in wanted
            and not endpoint.rules
            and not any(trust.residency_claim for trust in endpoint.trusts)
        }
        self._graph, self._workspaces = graph, workspaces
        self._endpoints = found.amend((changed | gone) - put.keys(), put)
        return self._endpoints


class ProxylessIndex:
    """Compiles the proxyless gateways' layers, and keeps what stays the same."""

    def __init__(self) -> None:
        self._kept: dict[str, _Kept] = {}

    def compile(self, graph: Graph) -> tuple[dict[str, Layer], dict[str, Regional]]:
        """By gateway: what is the same everywhere, and what makes the layer of a region."""
        own: dict[str, Layer] = {}
        regional: dict[str, Regional] = {}
        for name, edge in graph.edges.items():
            proxyless = edge.gateway.spec.proxyless
            if proxyless is None:
                continue
            kept = self._kept.setdefault(name, _Kept())
            endpoints = kept.select(graph, proxyless.workspaces)
            own[name] = kept.services.update(endpoints, compile_services)
            regional[name] = _regional(graph, kept.regions, endpoints)
        for name in self._kept.keys() - own.keys():
            del self._kept[name]
        return own, regional


def _regional(graph: Graph, regions: RegionIndex[EndpointIndex], endpoints: Shards[Endpoint]) -> Regional:
    def compile_region(region: str) -> Layer:
        origin = graph.regions.get(region)
        with regions.of(region, origin) as index:
            return index.update(endpoints, lambda endpoint: compile_places(endpoint, origin))

    return compile_region
