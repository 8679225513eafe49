"""What the newest Envoy is sent over ADS: what is the fleet's at once, what is a model's when somebody wants it; each
compiled once and kept while it stays the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from xds_server.graph import Edge, Endpoint, Graph, Place
from xds_server.snapshot import Layer, Layers, Resource, layer
from xds_server.wire import type_url

from .authentication import compile_authentication, compile_credentials
from .cluster import compile_cluster, compile_dns_cluster, name_clusters, needs_dns
from .encode import encode_extension
from .index import DeferredIndex, Recipes, RegionIndex, merge, recipe
from .key_cluster import compile_key_cluster
from .listener import compile_listener
from .load_assignment import compile_assignment
from .membership import compile_membership
from .names import (
    AUTHENTICATION,
    CLUSTER,
    CLUSTER_LOAD_ASSIGNMENT,
    CREDENTIALS,
    LOCATION_HINT,
    MEMBERSHIP,
    ROUTE_CONFIGURATION,
    SCOPED_ROUTE_CONFIGURATION,
    SECRET,
    name_key_cluster,
)
from .proxyless_index import ProxylessIndex
from .residency import compile_hints
from .route import compile_routes
from .runtime import compile_runtime
from .scope import compile_scope
from .secret import compile_certificate, compile_secrets, name_secrets
from .target import NEWEST


class Rendition:
    """Compiles all layers, and keeps them from one graph to the next. ``roots`` is the secret of public CAs."""

    def __init__(self, roots: Resource) -> None:
        self._roots = roots
        self._shared = DeferredIndex()
        self._regions = RegionIndex(DeferredIndex)
        self._proxyless = ProxylessIndex()
        self._fleet: tuple[Graph | None, Layer] = (None, {})
        self._gateways: dict[str, tuple[Edge, Layer]] = {}

    def compile(self, graph: Graph) -> Layers:
        """The layers of a graph; those of regions as they are asked for."""
        shared = self._shared.update(graph.endpoints, _SHARED)
        without_envoy, private = self._proxyless.compile(graph)
        envoys = {name: edge for name, edge in graph.edges.items() if name not in without_envoy}
        self._gateways = {name: each for name, each in self._gateways.items() if name in envoys}
        return Layers(
            merge(shared, self._compile_fleet(graph)),
            {name: self._compile_gateway(edge) for name, edge in envoys.items()} | without_envoy,
            lambda region: self._compile_region(graph, region),
            private,
        )

    def _compile_region(self, graph: Graph, region: str) -> Layer:
        origin = graph.regions.get(region)
        with self._regions.of(region, origin) as index:
            return index.update(graph.endpoints, _regional(origin))

    def _compile_fleet(self, graph: Graph) -> Layer:
        last, known = self._fleet
        if last is None or last.choices.keys() != graph.choices.keys() or _trust_differs(last, graph):
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


def _compile_clusters(endpoint: Endpoint) -> Iterator[Resource]:
    for deployment in endpoint.deployments:
        for revision in deployment.revisions:
            if not needs_dns(revision):
                yield compile_cluster(endpoint, deployment.environment, revision, NEWEST)


_SHARED: Final[Recipes] = {
    type_url(SCOPED_ROUTE_CONFIGURATION): recipe(
        lambda endpoint: (endpoint.path,), lambda endpoint: (compile_scope(endpoint, NEWEST),)
    ),
    type_url(ROUTE_CONFIGURATION): recipe(
        lambda endpoint: (endpoint.path,), lambda endpoint: (compile_routes(endpoint, NEWEST),)
    ),
    type_url(CLUSTER): recipe(lambda endpoint: name_clusters(endpoint, by_dns=False), _compile_clusters),
    type_url(SECRET): recipe(name_secrets, compile_secrets),
}


@lru_cache(maxsize=256)  # by place: what two regions share is one object
def _regional(origin: Place | None) -> Recipes:
    """What nodes are sent in the region that ``origin`` is in."""

    def compile_clusters(endpoint: Endpoint) -> Iterator[Resource]:
        for deployment in endpoint.deployments:
            for revision in deployment.revisions:
                if needs_dns(revision):
                    yield compile_dns_cluster(endpoint, deployment.environment, revision, origin, NEWEST)

    def compile_assignments(endpoint: Endpoint) -> Iterator[Resource]:
        for deployment in endpoint.deployments:
            for revision in deployment.revisions:
                if not needs_dns(revision):
                    yield compile_assignment(endpoint, deployment.environment, revision, origin)

    return {
        type_url(CLUSTER): recipe(lambda endpoint: name_clusters(endpoint, by_dns=True), compile_clusters),
        type_url(CLUSTER_LOAD_ASSIGNMENT): recipe(
            lambda endpoint: name_clusters(endpoint, by_dns=False), compile_assignments
        ),
    }


def _compile_fleet(graph: Graph) -> Iterator[Resource]:
    yield encode_extension(compile_credentials(graph), CREDENTIALS)
    # Not `needs`: a key cluster that is refused must not hold back the news that an issuer is trusted no more.
    remote = sorted(name_key_cluster(each.name) for each in graph.authorities.values() if each.jwks is None)
    yield encode_extension(compile_authentication(graph), AUTHENTICATION, uses=remote)
    yield encode_extension(compile_membership(graph, NEWEST), MEMBERSHIP)
    yield encode_extension(compile_hints(graph.choices), LOCATION_HINT)
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
