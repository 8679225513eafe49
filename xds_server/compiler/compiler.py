"""From a graph to a catalogue: one visitor per resource type, nothing compiled twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from xds_server.graph import Edge, Endpoint, Graph, Place
from xds_server.snapshot import Catalogue, Layer, Resource, layer

from .authentication import compile_authentication, compile_credentials
from .cluster import compile_cluster, compile_dns_cluster, needs_dns
from .encode import encode_extension
from .key_cluster import compile_key_cluster
from .listener import compile_listener
from .load_assignment import compile_assignment
from .membership import compile_membership
from .names import AUTHENTICATION, CREDENTIALS, MEMBERSHIP
from .route import compile_routes
from .scope import compile_scope
from .secret import compile_authorities, compile_authority, compile_certificate, compile_system_roots

_Compiled = dict[str, tuple[Endpoint, tuple[Resource, ...]]]


class Compiler:
    """Compiles graphs, and keeps what it made of each endpoint while that endpoint stays the same.

    ``system_roots`` is a PEM bundle of public CAs, for ``https`` backends that name none. One thread at a time.
    """

    def __init__(self, system_roots: str) -> None:
        self._roots = compile_system_roots(system_roots)
        self._generation = 0
        self._shared: _Compiled = {}
        self._regional: dict[str, tuple[Place | None, _Compiled]] = {}

    def compile(self, graph: Graph) -> Catalogue:
        """The catalogue of a graph. A region's endpoints are compiled when a node of that region first asks."""
        self._generation += 1
        endpoints = [endpoint for tenant in graph.tenants.values() for endpoint in tenant.endpoints]
        self._shared = _reuse(self._shared, endpoints, _compile_shared)
        return Catalogue(
            self._generation,
            shared=layer(
                [*_flatten(self._shared), *_compile_fleet(graph), self._roots, *_compile_cas(endpoints)]
            ),
            gateways={name: layer(_compile_gateway(edge)) for name, edge in graph.edges.items()},
            regional=lambda region: self._compile_region(graph, endpoints, region),
        )

    def _compile_region(self, graph: Graph, endpoints: list[Endpoint], region: str) -> Layer:
        origin = graph.regions.get(region)
        known_origin, known = self._regional.get(region, (origin, {}))
        if known_origin != origin:  # the region has moved: every order by distance may differ
            known = {}
        compiled = _reuse(known, endpoints, lambda endpoint: _compile_regional(endpoint, origin))
        self._regional[region] = (origin, compiled)
        return layer(_flatten(compiled))


def _reuse(
    known: _Compiled, endpoints: Iterable[Endpoint], compile_one: Callable[[Endpoint], Iterator[Resource]]
) -> _Compiled:
    compiled: _Compiled = {}
    for endpoint in endpoints:
        before = known.get(endpoint.path)
        if before is not None and (before[0] is endpoint or before[0] == endpoint):
            compiled[endpoint.path] = before
        else:
            compiled[endpoint.path] = (endpoint, tuple(compile_one(endpoint)))
    return compiled


def _flatten(compiled: _Compiled) -> Iterator[Resource]:
    for _, resources in compiled.values():
        yield from resources


def _compile_shared(endpoint: Endpoint) -> Iterator[Resource]:
    yield compile_scope(endpoint)
    yield compile_routes(endpoint)
    for deployment in endpoint.deployments:
        for revision in deployment.revisions:
            if not needs_dns(revision):
                yield compile_cluster(endpoint, deployment.environment, revision)


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


def _compile_cas(endpoints: Iterable[Endpoint]) -> Iterator[Resource]:
    bundles = {name: ca for endpoint in endpoints for name, ca in compile_authorities(endpoint)}
    for name, ca in bundles.items():
        yield compile_authority(name, ca)


def _compile_gateway(edge: Edge) -> Iterator[Resource]:
    for listener in edge.gateway.spec.listeners:
        yield compile_listener(edge, listener)
        certificate = edge.certificates.get(listener.name)
        if certificate is not None:
            yield compile_certificate(edge.name, listener.name, certificate, str(edge.gateway.origin))
