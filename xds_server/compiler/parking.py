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
        self._parked: Shards[Resource] = EMPTY

    def update(self, endpoints: Shards[Endpoint], clusters: Mapping[str, Resource]) -> Mapping[str, Resource]:
        """The parked ones among these endpoints' clusters, by name."""
        changed, gone = endpoints.since(self._endpoints)
        self._endpoints = endpoints
        dropped = {name for path in changed | gone for name in self._names.pop(path, ())}
        put: dict[str, Resource] = {}
        for path in changed:
            endpoint = endpoints[path]
            names = [
                name_cluster(endpoint, each.environment, each.revision)
                for each in list_sleepers(endpoint)
                if each.asleep
            ]
            found = {name: cluster for name in names if (cluster := clusters.get(name)) is not None}
            if found:
                self._names[path] = tuple(found)
                put |= found
        if dropped or put:
            self._parked = self._parked.amend(dropped - put.keys(), put)
        return self._parked
