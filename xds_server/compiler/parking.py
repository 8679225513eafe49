"""Clusters of revisions without a backend, which Envoys are not to have while requests may wait for one."""

from __future__ import annotations

from collections.abc import Mapping

from xds_server.graph import Endpoint, list_sleepers
from xds_server.shards import EMPTY, Shards
from xds_server.snapshot import Resource

from .names import name_cluster


class Parking:
    """Knows which clusters are parked, from one graph to the next: a look at the endpoints that changed."""

    def __init__(self) -> None:
        self._endpoints: Shards[Endpoint] = EMPTY
        self._names: dict[str, tuple[str, ...]] = {}
        """By path."""

    def update(self, endpoints: Shards[Endpoint], clusters: Mapping[str, Resource]) -> Mapping[str, Resource]:
        """The parked ones among these endpoints' clusters, by name."""
        changed, gone = endpoints.since(self._endpoints)
        self._endpoints = endpoints
        for path in changed | gone:
            self._names.pop(path, None)
        for path in changed:
            endpoint = endpoints[path]
            names = [
                name_cluster(endpoint, each.environment, each.revision)
                for each in list_sleepers(endpoint)
                if each.asleep
            ]
            if names:
                self._names[path] = tuple(names)
        found = ((name, clusters.get(name)) for names in self._names.values() for name in names)
        return {name: cluster for name, cluster in found if cluster is not None}
