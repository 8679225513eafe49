"""Indexes of compiled resources that are brought up to date, rather than made anew, when a few endpoints change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from threading import Lock

from xds_server.graph import Endpoint, Place
from xds_server.shards import EMPTY, Shards
from xds_server.snapshot import Layer, Resource

Compile = Callable[[Endpoint], Iterable[Resource]]
CompileFor = Callable[[Endpoint, Place | None], Iterable[Resource]]
IndexedLayer = dict[str, Shards[Resource]]


class EndpointIndex:
    """The resources of all endpoints, by type and name. An endpoint that stays the same is not compiled again."""

    def __init__(self) -> None:
        self._endpoints: Shards[Endpoint] = EMPTY
        self._compiled: dict[str, tuple[Resource, ...]] = {}
        self._layer: IndexedLayer = {}

    def update(self, endpoints: Shards[Endpoint], compile_one: Compile) -> IndexedLayer:
        """The layer of these endpoints, by path. What was returned before is never changed."""
        changed, gone = endpoints.since(self._endpoints)
        # Those that were merely made again mean the same.
        changed = frozenset(path for path in changed if self._endpoints.get(path) != endpoints[path])
        compiled = {path: tuple(compile_one(endpoints[path])) for path in changed}
        dropped = [each for path in changed | gone for each in self._compiled.get(path, ())]
        added = [each for resources in compiled.values() for each in resources]
        for path in gone:
            self._compiled.pop(path, None)
        self._compiled |= compiled
        self._endpoints = endpoints
        if added or dropped:
            self._layer = _amend(self._layer, dropped, added)
        return self._layer


class RegionIndex:
    """The resources of all endpoints as each region sees them, compiled when a region is first asked for."""

    def __init__(self) -> None:
        self._regions: dict[str, tuple[Place | None, EndpointIndex]] = {}
        self._lock = Lock()

    def update(
        self, endpoints: Shards[Endpoint], region: str, origin: Place | None, compile_one: CompileFor
    ) -> IndexedLayer:
        """The layer of these endpoints for a region, which ``origin`` is in (``None``: nobody knows where it is)."""
        # Clients choose what their region is called: all places that nobody knows are one.
        region = region if origin is not None else ""
        # The server may have given up waiting for an older catalogue's region, which is still being compiled.
        with self._lock:
            known = self._regions.get(region)
            if known is None or known[0] != origin:  # a region that has moved orders everything anew
                known = self._regions[region] = (origin, EndpointIndex())
            return known[1].update(endpoints, lambda endpoint: compile_one(endpoint, origin))


def _amend(layer: IndexedLayer, dropped: list[Resource], added: list[Resource]) -> IndexedLayer:
    gone: dict[str, set[str]] = defaultdict(set)
    put: dict[str, dict[str, Resource]] = defaultdict(dict)
    for resource in dropped:
        gone[resource.type_url].add(resource.name)
    for resource in added:
        put[resource.type_url][resource.name] = resource
    amended = dict(layer)
    for url in gone.keys() | put.keys():
        amended[url] = layer.get(url, EMPTY).amend(gone[url] - put[url].keys(), put[url])
    return amended


def merge(one: IndexedLayer, other: Layer) -> IndexedLayer:
    """A layer and a few resources more, as one; no type holds a name in both."""
    merged = dict(one)
    for url, resources in other.items():
        merged[url] = merged.get(url, EMPTY).amend((), resources)
    return merged
