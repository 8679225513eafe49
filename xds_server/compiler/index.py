"""Indexes of compiled resources that are brought up to date, rather than made anew, when a few endpoints change."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from threading import Lock

from xds_server.graph import Endpoint, Place
from xds_server.snapshot import Layer, Resource

Compile = Callable[[Endpoint], Iterable[Resource]]
CompileFor = Callable[[Endpoint, Place | None], Iterable[Resource]]


class EndpointIndex:
    """The resources of all endpoints, by type and name. An endpoint that stays the same is not compiled again."""

    def __init__(self) -> None:
        self._compiled: dict[str, tuple[Endpoint, tuple[Resource, ...]]] = {}
        self._layer: dict[str, dict[str, Resource]] = {}

    def update(self, endpoints: Iterable[Endpoint], compile_one: Compile) -> Layer:
        """The layer of these endpoints. What was returned before is never changed."""
        before = self._compiled
        compiled: dict[str, tuple[Endpoint, tuple[Resource, ...]]] = {}
        added: list[Resource] = []
        dropped: list[Resource] = []
        for endpoint in endpoints:
            known = before.get(endpoint.path)
            if known is not None and (known[0] is endpoint or known[0] == endpoint):
                compiled[endpoint.path] = known
                continue
            resources = tuple(compile_one(endpoint))
            compiled[endpoint.path] = (endpoint, resources)
            added += resources
            dropped += known[1] if known is not None else ()
        if len(compiled) != len(before) + len(compiled.keys() - before.keys()):
            dropped += [each for path in before.keys() - compiled.keys() for each in before[path][1]]
        self._compiled = compiled
        if added or dropped:
            self._layer = _amend(self._layer, dropped, added)
        return self._layer


class RegionIndex:
    """The resources of all endpoints as each region sees them, compiled when a region is first asked for."""

    def __init__(self) -> None:
        self._regions: dict[str, tuple[Place | None, EndpointIndex]] = {}
        self._lock = Lock()

    def update(
        self, endpoints: list[Endpoint], region: str, origin: Place | None, compile_one: CompileFor
    ) -> Layer:
        """The layer of these endpoints for a region, which ``origin`` is in (``None``: nobody knows where it is)."""
        # Clients choose what their region is called: all places that nobody knows are one.
        region = region if origin is not None else ""
        # The server may have given up waiting for an older catalogue's region, which is still being compiled.
        with self._lock:
            known = self._regions.get(region)
            if known is None or known[0] != origin:  # a region that has moved orders everything anew
                known = self._regions[region] = (origin, EndpointIndex())
            return known[1].update(endpoints, lambda endpoint: compile_one(endpoint, origin))


def _amend(
    layer: dict[str, dict[str, Resource]], dropped: list[Resource], added: list[Resource]
) -> dict[str, dict[str, Resource]]:
    amended = dict(layer)
    for url in {resource.type_url for resource in (*dropped, *added)}:
        amended[url] = dict(layer.get(url, {}))
    for resource in dropped:
        amended[resource.type_url].pop(resource.name, None)
    for resource in added:
        amended[resource.type_url][resource.name] = resource
    return amended


def merge(one: Layer, other: Layer) -> Layer:
    """Two layers as one, where no type holds a name in both."""
    merged = dict(one)
    for url, resources in other.items():
        merged[url] = {**merged[url], **resources} if url in merged else resources
    return merged
