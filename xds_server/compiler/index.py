"""Indexes of compiled resources that are brought up to date, rather than made anew, when a few endpoints change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Generic, TypeVar

from xds_server.graph import Endpoint, Place
from xds_server.shards import EMPTY, Shards
from xds_server.snapshot import Deferred, Layer, Recipe, Resource, Workshop

from .names import find_path

Compile = Callable[[Endpoint], Iterable[Resource]]
IndexedLayer = dict[str, Shards[Resource]]
DeferredLayer = dict[str, Deferred[Endpoint]]
Recipes = Mapping[str, Recipe[Endpoint]]
"""By type URL."""

Index = TypeVar("Index")


def recipe(names: Callable[[Endpoint], Iterable[str]], compile_all: Compile) -> Recipe[Endpoint]:
    """How the resources of one type are made of an endpoint; their names begin with its path."""
    return Recipe(names, compile_all, find_path)


class DeferredIndex:
    """The resources of all endpoints, by type and name, each compiled when somebody first looks it up."""

    def __init__(self) -> None:
        self._workshops: dict[str, Workshop[Endpoint]] = {}
        self._last: tuple[Shards[Endpoint], Recipes, DeferredLayer] | None = None

    def update(self, endpoints: Shards[Endpoint], recipes: Recipes) -> DeferredLayer:
        """The layer of these endpoints, by path. What was returned before is never changed.

        Recipes may differ from the last ones in what they hold, not in what they make of an endpoint.
        """
        if self._last is not None and self._last[0] is endpoints and self._last[1] is recipes:
            return self._last[2]
        layer: DeferredLayer = {}
        for url, how in recipes.items():
            if url not in self._workshops:
                self._workshops[url] = Workshop()
            layer[url] = self._workshops[url].follow(endpoints, how)
        self._last = (endpoints, recipes, layer)
        return layer


class EndpointIndex:
    """As `DeferredIndex`, for what is asked for as a whole: compiled at once, and again only of what changed."""

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


class RegionIndex(Generic[Index]):
    """An index for each region, made when the region is first asked for."""

    def __init__(self, make: Callable[[], Index]) -> None:
        self._make = make
        self._regions: dict[str, tuple[Place | None, Index]] = {}
        self._lock = Lock()

    @contextmanager
    def of(self, region: str, origin: Place | None) -> Iterator[Index]:
        """The index of a region, for one thread at a time. ``origin`` is where that is, ``None`` if nobody knows."""
        # Clients choose what their region is called: all places that nobody knows are one.
        region = region if origin is not None else ""
        # The server may have given up waiting for an older catalogue's region, which is still being compiled.
        with self._lock:
            known = self._regions.get(region)
            if known is None or known[0] != origin:  # a region that has moved orders everything anew
                known = self._regions[region] = (origin, self._make())
            yield known[1]


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


def merge(one: DeferredLayer, other: Layer) -> Layer:
    """A layer and a few resources more, as one; no type holds a name in both."""
    merged: dict[str, Mapping[str, Resource]] = dict(one)
    for url, resources in other.items():
        merged[url] = one[url].beside(resources) if url in one else resources
    return merged
