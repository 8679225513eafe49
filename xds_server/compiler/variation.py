"""What clients of another dialect are sent: the same as the newest Envoy over ADS, but for what their target changes.

Compiled are only the types that differ, once such a client is there, and kept as the rest is: a change of one endpoint
compiles that endpoint. All else is the very objects that everybody is sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from threading import Lock

from xds_server.graph import Authority, Edge, Endpoint, Graph, Place
from xds_server.snapshot import Layer, Layers, Resource, layer
from xds_server.wire import type_url

from .cluster import compile_cluster, compile_dns_cluster, name_clusters, needs_dns
from .encode import encode_extension
from .fetched import FetchedModels
from .index import Compile, DeferredIndex, Recipes, RegionIndex, merge, recipe
from .key_cluster import compile_key_cluster
from .listener import compile_listener
from .membership import compile_membership
from .names import CLUSTER, EXTENSION_CONFIG, MEMBERSHIP
from .release import Feature
from .target import NEWEST, Target

_CLUSTERS = type_url(CLUSTER)
_FILTERS = type_url(EXTENSION_CONFIG)


class Variation:
    """Compiles what differs for one target, and keeps it from one graph to the next."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self._fetches_otherwise = target.transport != NEWEST.transport
        self._clusters = DeferredIndex()
        self._regions = RegionIndex(DeferredIndex)
        self._models = FetchedModels(target) if target.fetching is not None else None
        self._membership: tuple[Resource, Resource] | None = None
        self._gateways: dict[str, tuple[Edge, Layer]] = {}
        self._lock = Lock()

    def compile(self, graph: Graph, plain: Layers) -> Layers:
        """The layers of a graph; ``plain`` is what the newest Envoy is sent over ADS."""
        with self._lock:
            self._gateways = {name: each for name, each in self._gateways.items() if name in graph.edges}
            return Layers(
                self._compile_shared(graph, plain.shared),
                {
                    name: self._compile_gateway(edge, plain.gateways[name])
                    for name, edge in graph.edges.items()
                },
                lambda region: self._compile_region(graph, plain, region),
                plain.private,
            )

    def _compile_shared(self, graph: Graph, plain: Layer) -> Layer:
        mixed = dict(plain if self._models is None else self._models.compile(graph, plain))
        if self._fetches_otherwise:
            clusters = self._clusters.update(
                graph.endpoints, self._sharing(plain, self._compile_clusters, by_dns=False)
            )
            keys = layer(_share(self._compile_key_clusters(graph.authorities.values()), plain))
            mixed |= merge(clusters, keys)
        if Feature.CEL_STRINGS in self._target.lacking:
            filters = plain[_FILTERS]
            mixed[_FILTERS] = {**filters, MEMBERSHIP: self._compile_membership(graph, filters[MEMBERSHIP])}
        return mixed

    def _compile_membership(self, graph: Graph, plain: Resource) -> Resource:
        if self._membership is None or self._membership[0] is not plain:
            own = encode_extension(compile_membership(graph, self._target), MEMBERSHIP)
            self._membership = (plain, own)
        return self._membership[1]

    def _compile_region(self, graph: Graph, plain: Layers, region: str) -> Layer:
        theirs = plain.region(region)
        if self._models is not None:
            return self._models.compile_region(graph, theirs, region)
        if not self._fetches_otherwise:
            return theirs

        origin = graph.regions.get(region)
        with self._regions.of(region, origin) as index:
            own = index.update(
                graph.endpoints,
                self._sharing(
                    theirs, lambda endpoint: self._compile_dns_clusters(endpoint, origin), by_dns=True
                ),
            )
        return {**theirs, **own}

    @staticmethod
    def _sharing(theirs: Layer, compile_own: Compile, *, by_dns: bool) -> Recipes:
        """How clusters are made, those that the plain layer has equal ones of taken from there."""
        return {
            _CLUSTERS: recipe(
                lambda endpoint: name_clusters(endpoint, by_dns=by_dns),
                lambda endpoint: _share(compile_own(endpoint), theirs),
            )
        }

    def _compile_gateway(self, edge: Edge, plain: Layer) -> Layer:
        if edge.gateway.spec.proxyless is not None:  # gRPC knows ADS only, and has no release
            return plain
        known = self._gateways.get(edge.name)
        if known is None or known[0] != edge:
            listeners = (compile_listener(edge, each, self._target) for each in edge.gateway.spec.listeners)
            known = self._gateways[edge.name] = (edge, {**plain, **layer(listeners)})
        return known[1]

    def _compile_clusters(self, endpoint: Endpoint) -> Iterator[Resource]:
        for deployment in endpoint.deployments:
            for revision in deployment.revisions:
                if not needs_dns(revision):
                    yield compile_cluster(endpoint, deployment.environment, revision, self._target)

    def _compile_dns_clusters(self, endpoint: Endpoint, origin: Place | None) -> Iterator[Resource]:
        for deployment in endpoint.deployments:
            for revision in deployment.revisions:
                if needs_dns(revision):
                    environment = deployment.environment
                    yield compile_dns_cluster(endpoint, environment, revision, origin, self._target)

    def _compile_key_clusters(self, authorities: Iterable[Authority]) -> Iterator[Resource]:
        for authority in authorities:
            if authority.jwks is None:
                yield compile_key_cluster(authority, self._target)


def _share(own: Iterable[Resource], theirs: Layer) -> Iterator[Resource]:
    """Resources, or instead of each the plain layer's if that is the same."""
    for each in own:
        plain = theirs.get(each.type_url, {}).get(each.name)
        yield plain if plain is not None and plain.version == each.version else each
