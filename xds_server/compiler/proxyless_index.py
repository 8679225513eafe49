"""The gateways of clients without Envoy: what each of them may see, and nothing else of the fleet."""

from __future__ import annotations

from dataclasses import dataclass, field

from xds_server.graph import Endpoint, Graph
from xds_server.snapshot import Layer, Regional

from .index import EndpointIndex, RegionIndex
from .proxyless import compile_places, compile_services


@dataclass(slots=True)
class _Kept:
    services: EndpointIndex = field(default_factory=EndpointIndex)
    regions: RegionIndex = field(default_factory=RegionIndex)


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
            endpoints = [each for workspace in proxyless.workspaces for each in _open(graph, workspace)]
            own[name] = kept.services.update(endpoints, compile_services)
            regional[name] = _regional(graph, kept.regions, endpoints)
        for name in self._kept.keys() - own.keys():
            del self._kept[name]
        return own, regional


def _open(graph: Graph, workspace: str) -> list[Endpoint]:
    """The endpoints of a workspace that every member may call. Nobody could check the claims that others ask for."""
    tenant = graph.tenants.get(workspace)
    return [endpoint for endpoint in tenant.endpoints if not endpoint.rules] if tenant is not None else []


def _regional(graph: Graph, regions: RegionIndex, endpoints: list[Endpoint]) -> Regional:
    def compile_region(region: str) -> Layer:
        return regions.update(endpoints, region, graph.regions.get(region), compile_places)

    return compile_region
