"""What becomes of models where they are fetched with their first request.

Scopes say so, routes bring the limit that holds from then on, and the clusters of all but warm models are in reserve.
The rest, endpoints and secrets among it, clients ask for by name anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from xds_server.graph import Endpoint, Graph, Place
from xds_server.shards import EMPTY
from xds_server.snapshot import Layer, Resource, reserve
from xds_server.wire import type_url

from .index import Compile, EndpointIndex, RegionIndex, merge
from .names import CLUSTER, name_cluster, name_key_cluster
from .route import compile_routes
from .scope import compile_scope
from .target import Target

_CLUSTERS = type_url(CLUSTER)


class OnDemandModels:
    """Compiles what differs for models that are fetched on demand, and keeps it from one graph to the next.

    Clusters are not compiled but taken from the ``plain`` layers, the same objects.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._routes = EndpointIndex()
        self._warm, self._cold = EndpointIndex(), EndpointIndex()
        self._warm_regions, self._cold_regions = RegionIndex(), RegionIndex()

    def compile(self, graph: Graph, plain: Layer) -> Layer:
        """The fleet's layer; ``plain`` is the one of clients that have all models from the start."""
        clusters, take = plain.get(_CLUSTERS, {}), _taking(plain)
        keys = [name_key_cluster(each.name) for each in graph.authorities.values() if each.jwks is None]
        warm = self._warm.update(graph.endpoints, take(warm=True))
        return {
            **plain,
            **self._routes.update(graph.endpoints, self._compile_model),
            **merge(warm, {_CLUSTERS: {name: clusters[name] for name in keys}}),
            reserve(_CLUSTERS): self._cold.update(graph.endpoints, take(warm=False)).get(_CLUSTERS, EMPTY),
        }

    def compile_region(self, graph: Graph, plain: Layer, region: str) -> Layer:
        """A region's layer, as ``compile`` the fleet's: clusters with DNS names are made for a region."""
        take = _taking(plain)

        def divide(index: RegionIndex, *, warm: bool) -> Mapping[str, Resource]:
            def take_for(endpoint: Endpoint, _origin: Place | None) -> Iterator[Resource]:
                return take(warm=warm)(endpoint)

            origin = graph.regions.get(region)
            return index.update(graph.endpoints, region, origin, take_for).get(_CLUSTERS, EMPTY)

        return {
            **plain,
            _CLUSTERS: divide(self._warm_regions, warm=True),
            reserve(_CLUSTERS): divide(self._cold_regions, warm=False),
        }

    def _compile_model(self, endpoint: Endpoint) -> Iterator[Resource]:
        yield compile_scope(endpoint, self._target)
        yield compile_routes(endpoint, self._target)


def _taking(plain: Layer) -> Callable[..., Compile]:
    """What takes the clusters of a warm endpoint, or of a cold one, from a layer, as far as that has them."""
    clusters = plain.get(_CLUSTERS, {})

    def taking(*, warm: bool) -> Compile:
        def take(endpoint: Endpoint) -> Iterator[Resource]:
            for deployment in endpoint.deployments if endpoint.warm is warm else ():
                for revision in deployment.revisions:
                    found = clusters.get(name_cluster(endpoint, deployment.environment, revision.name))
                    if found is not None:
                        yield found

        return take

    return taking
