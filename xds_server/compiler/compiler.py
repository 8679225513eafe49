"""From a graph to a catalogue: one visitor per resource type, nothing compiled twice."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock

from xds_server.graph import Edge, Endpoint, Graph, Place
from xds_server.snapshot import Catalogue, Layer, Resource, layer

from .authentication import compile_authentication, compile_credentials
from .cluster import compile_cluster, compile_dns_cluster, needs_dns
from .encode import encode_extension
from .index import EndpointIndex, merge
from .key_cluster import compile_key_cluster
from .listener import compile_listener
from .load_assignment import compile_assignment
from .membership import compile_membership
from .names import AUTHENTICATION, CREDENTIALS, MEMBERSHIP
from .route import compile_routes
from .scope import compile_scope
from .secret import compile_authorities, compile_certificate, compile_system_roots


class Compiler:
    """Compiles graphs, and keeps what it made of whatever stays the same.

    ``system_roots`` is a PEM bundle of public CAs, for ``https`` backends that name none. One thread at a time.
    """

    def __init__(self, system_roots: str) -> None:
        self._roots = compile_system_roots(system_roots)
        self._generation = 0
        self._shared = EndpointIndex()
        self._regional: dict[str, tuple[Place | None, EndpointIndex]] = {}
        self._compiling_region = Lock()
        self._fleet: tuple[object, Layer] = (None, {})
        self._gateways: dict[str, tuple[Edge, Layer]] = {}

    def compile(self, graph: Graph) -> Catalogue:
        """The catalogue of a graph. A region's endpoints are compiled when a node of that region first asks."""
        self._generation += 1
        endpoints = [endpoint for tenant in graph.tenants.values() for endpoint in tenant.endpoints]
        shared = self._shared.update(endpoints, _compile_shared)
        return Catalogue(
            self._generation,
            shared=merge(shared, self._compile_fleet(graph)),
            gateways={name: self._compile_gateway(edge) for name, edge in graph.edges.items()},
            regional=lambda region: self._compile_region(graph, endpoints, region),
        )

    def _compile_fleet(self, graph: Graph) -> Layer:
        # All that these depend on: the issuers, and which workspaces trust which of them.
        key = (graph.authorities, {name: tenant.issuers for name, tenant in graph.tenants.items()})
        if self._fleet[0] != key:
            self._fleet = (key, layer([*_compile_fleet(graph), self._roots]))
        return self._fleet[1]

    def _compile_gateway(self, edge: Edge) -> Layer:
        known = self._gateways.get(edge.name)
        if known is None or known[0] != edge:
            known = self._gateways[edge.name] = (edge, layer(_compile_gateway(edge)))
        return known[1]

    def _compile_region(self, graph: Graph, endpoints: list[Endpoint], region: str) -> Layer:
        origin = graph.regions.get(region)
        # The server may have given up waiting for an older catalogue's region, which is still being compiled.
        with self._compiling_region:
            known = self._regional.get(region)
            if known is None or known[0] != origin:  # a region that has moved orders everything anew
                known = self._regional[region] = (origin, EndpointIndex())
            return known[1].update(endpoints, lambda endpoint: _compile_regional(endpoint, origin))


def _compile_shared(endpoint: Endpoint) -> Iterator[Resource]:
    yield compile_scope(endpoint)
    yield compile_routes(endpoint)
    for deployment in endpoint.deployments:
        for revision in deployment.revisions:
            if not needs_dns(revision):
                yield compile_cluster(endpoint, deployment.environment, revision)
    yield from compile_authorities(endpoint)


def _compile_regional(endpoint: Endpoint, origin: Place | None) -> Iterator[Resource]:
    for deployment in endpoint.deployments:
        for revision in deployment.revisions:
            compile_places = compile_dns_cluster if needs_dns(revision) else compile_assignment
            yield compile_places(endpoint, deployment.environment, revision, origin)


def _compile_fleet(graph: Graph) -> Iterator[Resource]:
    yield encode_extension(compile_credentials(graph), CREDENTIALS)
    yield encode_extension(compile_authentication(graph), AUTHENTICATION)
    yield encode_extension(compile_membership(graph), MEMBERSHIP)
    for authority in graph.authorities.values():
        if authority.jwks is None:
            yield compile_key_cluster(authority)


def _compile_gateway(edge: Edge) -> Iterator[Resource]:
    for listener in edge.gateway.spec.listeners:
        yield compile_listener(edge, listener)
        certificate = edge.certificates.get(listener.name)
        if certificate is not None:
            yield compile_certificate(edge.name, listener.name, certificate, str(edge.gateway.origin))
