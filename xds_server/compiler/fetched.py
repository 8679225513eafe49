"""What models are for clients that can fetch them with their first request, whether they do or not.

Routes bring the limit that holds once they are there. On demand, scopes say so, and the clusters of all but warm models
are in reserve. The rest, endpoints and secrets among it, clients ask for by name anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from xds_server.graph import Endpoint, Graph, Place
from xds_server.shards import EMPTY
from xds_server.snapshot import Layer, Resource, reserve
from xds_server.wire import type_url

from .index import EndpointIndex, RegionIndex, merge
from .names import CLUSTER, name_cluster, name_key_cluster
from .route import compile_routes
from .scope import compile_scope
from .target import Target

_CLUSTERS = type_url(CLUSTER)

Take = Callable[[Endpoint], Iterator[Resource]]


class FetchedModels:
    """Compiles what differs for such clients, and keeps it from one graph to the next.

    All else is taken from the ``plain`` layers, the same objects: clusters are not compiled again.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._models = EndpointIndex()
        self._warm, self._cold = EndpointIndex(), EndpointIndex()
        self._warm_regions, self._cold_regions = RegionIndex(), RegionIndex()

    def compile(self, graph: Graph, plain: Layer) -> Layer:
        """The fleet's layer; ``plain`` is the one of clients that cannot fetch."""
        mixed = {**plain, **self._models.update(graph.endpoints, self._compile_model)}
        if not self._target.on_demand:
            return mixed
        clusters = plain.get(_CLUSTERS, {})
        keys = [name_key_cluster(each.name) for each in graph.authorities.values() if each.jwks is None]
        warm = self._warm.update(graph.endpoints, _taking(plain, warm=True))
        cold = self._cold.update(graph.endpoints, _taking(plain, warm=False))
        mixed |= merge(warm, {_CLUSTERS: {name: clusters[name] for name in keys}})
        mixed[reserve(_CLUSTERS)] = cold.get(_CLUSTERS, EMPTY)
        return mixed

    def compile_region(self, graph: Graph, plain: Layer, region: str) -> Layer:
        """A region's layer, as ``compile`` the fleet's: clusters with DNS names are made for a region."""
        if not self._target.on_demand:
            return plain

        def take(index: RegionIndex, *, warm: bool) -> Layer:
            taking = _taking(plain, warm=warm)

            def take_one(endpoint: Endpoint, _origin: Place | None) -> Iterator[Resource]:
                return taking(endpoint)

            return index.update(graph.endpoints, region, graph.regions.get(region), take_one)

        return {
            **plain,
            _CLUSTERS: take(self._warm_regions, warm=True).get(_CLUSTERS, EMPTY),
            reserve(_CLUSTERS): take(self._cold_regions, warm=False).get(_CLUSTERS, EMPTY),
        }

    def _compile_model(self, endpoint: Endpoint) -> Iterator[Resource]:
        if self._target.on_demand:
            yield compile_scope(endpoint, self._target)
        yield compile_routes(endpoint, self._target)


def _taking(plain: Layer, *, warm: bool) -> Take:
    """What takes the clusters of a warm endpoint, or of one that is not, from a layer, as far as that has them."""
    clusters = plain.get(_CLUSTERS, {})

    def take(endpoint: Endpoint) -> Iterator[Resource]:
        for deployment in endpoint.deployments if endpoint.warm is warm else ():
            for revision in deployment.revisions:
                found = clusters.get(name_cluster(endpoint, deployment.environment, revision.name))
                if found is not None:
                    yield found

    return take
