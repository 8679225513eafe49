"""What the newest Envoy is sent over ADS: everything, compiled once and kept while it stays the same."""

from __future__ import annotations

from collections.abc import Iterator

from xds_server.graph import Edge, Endpoint, Graph, Place
from xds_server.snapshot import Layer, Layers, Resource, layer

from .authentication import compile_authentication, compile_credentials
from .cluster import compile_cluster, compile_dns_cluster, needs_dns
from .encode import encode_extension
from .index import EndpointIndex, RegionIndex, merge
from .key_cluster import compile_key_cluster
from .listener import compile_listener
from .load_assignment import compile_assignment
from .membership import compile_membership
from .names import AUTHENTICATION, CREDENTIALS, MEMBERSHIP, name_key_cluster
from .proxyless_index import ProxylessIndex
from .route import compile_routes
from .runtime import compile_runtime
from .scope import compile_scope
from .secret import compile_authorities, compile_certificate
from .target import NEWEST


class Rendition:
    """Compiles all layers, and keeps them from one graph to the next. ``roots`` is the secret of public CAs."""

    def __init__(self, roots: Resource) -> None:
        self._roots = roots
        self._shared = EndpointIndex()
        self._regions = RegionIndex()
        self._proxyless = ProxylessIndex()
        self._fleet: tuple[Graph | None, Layer] = (None, {})
        self._gateways: dict[str, tuple[Edge, Layer]] = {}

    def compile(self, graph: Graph) -> Layers:
        """The layers of a graph; those of regions as they are asked for."""
        shared = self._shared.update(graph.endpoints, _compile_shared)
        without_envoy, private = self._proxyless.compile(graph)
        envoys = {name: edge for name, edge in graph.edges.items() if name not in without_envoy}
        self._gateways = {name: each for name, each in self._gateways.items() if name in envoys}
        return Layers(
            merge(shared, self._compile_fleet(graph)),
            {name: self._compile_gateway(edge) for name, edge in envoys.items()} | without_envoy,
            lambda region: self._regions.update(
                graph.endpoints, region, graph.regions.get(region), _compile_regional
            ),
            private,
        )

    def _compile_fleet(self, graph: Graph) -> Layer:
        last, known = self._fleet
        if last is None or _trust_differs(last, graph):
            known = layer([*_compile_fleet(graph), self._roots])
        self._fleet = (graph, known)
        return known

    def _compile_gateway(self, edge: Edge) -> Layer:
        known = self._gateways.get(edge.name)
        if known is None or known[0] != edge:
            known = self._gateways[edge.name] = (edge, layer(_compile_gateway(edge)))
        return known[1]


def _trust_differs(last: Graph, graph: Graph) -> bool:
    """Whether the issuers, or who trusts which of them, are others: all that the fleet's filters depend on."""
    if last.authorities != graph.authorities:
        return True
    changed, gone = graph.tenants.since(last.tenants)
    return bool(gone) or any(
        name not in last.tenants or last.tenants[name].issuers != graph.tenants[name].issuers
        for name in changed
    )


def _compile_shared(endpoint: Endpoint) -> Iterator[Resource]:
    yield compile_scope(endpoint, NEWEST)
    yield compile_routes(endpoint, NEWEST)
    for deployment in endpoint.deployments:
        for revision in deployment.revisions:
            if not needs_dns(revision):
                yield compile_cluster(endpoint, deployment.environment, revision, NEWEST)
    yield from compile_authorities(endpoint)


def _compile_regional(endpoint: Endpoint, origin: Place | None) -> Iterator[Resource]:
    for deployment in endpoint.deployments:
        for revision in deployment.revisions:
            if needs_dns(revision):
                yield compile_dns_cluster(endpoint, deployment.environment, revision, origin, NEWEST)
            else:
                yield compile_assignment(endpoint, deployment.environment, revision, origin)


def _compile_fleet(graph: Graph) -> Iterator[Resource]:
    yield encode_extension(compile_credentials(graph), CREDENTIALS)
    # Not `needs`: a key cluster that is refused must not hold back the news that an issuer is trusted no more.
    remote = sorted(name_key_cluster(each.name) for each in graph.authorities.values() if each.jwks is None)
    yield encode_extension(compile_authentication(graph), AUTHENTICATION, uses=remote)
    yield encode_extension(compile_membership(graph, NEWEST), MEMBERSHIP)
    for authority in graph.authorities.values():
        if authority.jwks is None:
            yield compile_key_cluster(authority, NEWEST)


def _compile_gateway(edge: Edge) -> Iterator[Resource]:
    yield compile_runtime(edge)
    for listener in edge.gateway.spec.listeners:
        yield compile_listener(edge, listener, NEWEST)
        certificate = edge.certificates.get(listener.name)
        if certificate is not None:
            yield compile_certificate(edge.name, listener.name, certificate, str(edge.gateway.origin))
