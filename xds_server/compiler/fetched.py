"""What models are for clients that can fetch them with their first request, whether they do or not.

Routes bring the limit that holds once they are there. On demand, scopes say so, and the clusters of all but warm models
are in reserve. A cluster that has no backend, and for which requests may wait, is parked. The rest, endpoints and
secrets among it, clients ask for by name anyway.
"""

from __future__ import annotations

from collections.abc import Mapping

from xds_server.graph import Endpoint, Graph
from xds_server.snapshot import Layer, Resource, parked, reserve
from xds_server.wire import type_url

from .index import DeferredIndex, Recipes, RegionIndex, merge, recipe
from .names import (
    CLUSTER,
    ROUTE_CONFIGURATION,
    SCOPED_ROUTE_CONFIGURATION,
    name_cluster,
    name_key_cluster,
)
from .parking import Parking
from .route import compile_routes
from .scope import compile_scope
from .target import Target

_CLUSTERS = type_url(CLUSTER)


class FetchedModels:
    """Compiles what differs for such clients, and keeps it from one graph to the next.

    All else is taken from the ``plain`` layers, the same objects: clusters are not compiled again.
    """

    def __init__(self, target: Target) -> None:
        self._target = target
        self._models = DeferredIndex()
        self._parking = Parking()
        self._warm, self._cold = DeferredIndex(), DeferredIndex()
        self._warm_regions, self._cold_regions = RegionIndex(DeferredIndex), RegionIndex(DeferredIndex)

    def compile(self, graph: Graph, plain: Layer) -> Layer:
        """The fleet's layer; ``plain`` is the one of clients that cannot fetch."""
        models = self._models.update(graph.endpoints, self._recipes())
        mixed = {**plain, **models, **self._park(graph, plain)}
        if not self._target.on_demand:
            return mixed
        clusters = plain.get(_CLUSTERS, {})
        keys = [name_key_cluster(each.name) for each in graph.authorities.values() if each.jwks is None]
        warm = self._warm.update(graph.endpoints, _taking(plain, warm=True))
        cold = self._cold.update(graph.endpoints, _taking(plain, warm=False))
        mixed |= merge(warm, {_CLUSTERS: {name: clusters[name] for name in keys}})
        mixed[reserve(_CLUSTERS)] = cold[_CLUSTERS]
        return mixed

    def _park(self, graph: Graph, plain: Layer) -> Layer:
        """The clusters without a backend for which requests may wait; no key at all where there is none."""
        names = self._parking.update(graph.endpoints, plain.get(_CLUSTERS, {}))
        return {parked(_CLUSTERS): names} if names else {}

    def compile_region(self, graph: Graph, plain: Layer, region: str) -> Layer:
        """A region's layer, as ``compile`` the fleet's: clusters with DNS names are made for a region."""
        if not self._target.on_demand:
            return plain

        def take(regions: RegionIndex[DeferredIndex], *, warm: bool) -> Mapping[str, Resource]:
            with regions.of(region, graph.regions.get(region)) as index:
                return index.update(graph.endpoints, _taking(plain, warm=warm))[_CLUSTERS]

        return {
            **plain,
            _CLUSTERS: take(self._warm_regions, warm=True),
            reserve(_CLUSTERS): take(self._cold_regions, warm=False),
        }

    def _recipes(self) -> Recipes:
        def name(endpoint: Endpoint) -> tuple[str]:
            return (endpoint.path,)

        def compile_one_scope(endpoint: Endpoint) -> tuple[Resource]:
            return (compile_scope(endpoint, self._target),)

        def compile_its_routes(endpoint: Endpoint) -> tuple[Resource]:
            return (compile_routes(endpoint, self._target),)

        routes = {type_url(ROUTE_CONFIGURATION): recipe(name, compile_its_routes)}
        if not self._target.on_demand:
            return routes
        return {type_url(SCOPED_ROUTE_CONFIGURATION): recipe(name, compile_one_scope), **routes}


def _taking(plain: Layer, *, warm: bool) -> Recipes:
    """What takes the clusters of a warm endpoint, or of one that is not, from a layer, as far as that has them."""
    clusters = plain.get(_CLUSTERS, {})

    def name(endpoint: Endpoint) -> list[str]:
        return [
            found
            for environment, revision, _ in (endpoint.revisions if endpoint.warm is warm else ())
            if (found := name_cluster(endpoint, environment, revision)) in clusters
        ]

    def take(endpoint: Endpoint) -> list[Resource]:
        return [clusters[found] for found in name(endpoint)]

    return {_CLUSTERS: recipe(name, take)}
