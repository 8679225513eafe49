"""What one audience sees of a catalogue."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from xds_server.snapshot.parking import is_parked, parked
from xds_server.snapshot.reserve import is_reserve, reserve
from xds_server.snapshot.resource import Layer, Resource

_VERSION_SPACE = 1 << 64
_NONE: Mapping[str, Resource] = {}


class View:
    """A few layers seen as one. A name is in one layer only per type; should it be in several, the first
    has it.

    What is in reserve is found by its name, and is no part of everything: only who follows it is sent it. What is
    parked is not found at all.

    Costs nothing to make: layers are shared between the views of all audiences and are never copied.
    """

    __slots__ = ("_versions", "encoded", "generation", "has_parked", "has_reserve", "layers", "past")

    def __init__(self, generation: int, layers: Iterable[Layer]) -> None:
        self.generation = generation
        self.layers: tuple[Layer, ...] = tuple(layers)
        self.past: tuple[View, ...] = ()
        """What the audience saw before, the newest first, as far as it is remembered."""
        self.has_reserve = any(is_reserve(key) for each in self.layers for key in each)
        self.has_parked = any(is_parked(key) for each in self.layers for key in each)
        self.encoded: frozenset[str] = frozenset()
        """Types of which `encode` has seen to everything."""
        self._versions: dict[str, str] = {}

    def get(self, type_url: str, name: str) -> Resource | None:
        """Look one resource up; `None` when there is none of that name."""
        if self.has_parked and self.parks(type_url, name):
            return None
        for each in self.layers:
            names = each.get(type_url)
            if names is not None and (resource := names.get(name)) is not None:
                return resource
        return self.get(reserve(type_url), name) if self.has_reserve and not is_reserve(type_url) else None

    def has(self, type_url: str, name: str) -> bool:
        """Say whether there is a resource of that name, in reserve or not, without having it encoded."""
        if self.has_parked and self.parks(type_url, name):
            return False
        if any(name in each.get(type_url, _NONE) for each in self.layers):
            return True
        return self.has_reserve and not is_reserve(type_url) and self.has(reserve(type_url), name)

    def reserves(self, type_url: str, name: str) -> bool:
        """Say whether a resource is there for those who follow or name it only."""
        return self.has_reserve and self.has(reserve(type_url), name)

    def parks(self, type_url: str, name: str) -> bool:
        """Say whether a resource is kept back from all clients."""
        return self.has_parked and any(name in each.get(parked(type_url), _NONE) for each in self.layers)

    def encode(self, type_url: str, names: Iterable[str] | None = None) -> None:
        """Have the resources of these names, or all of one type, encoded, so that a look-up finds them made."""
        found = self.resources(type_url) if names is None else (self.get(type_url, name) for name in names)
        deque(found, maxlen=0)
        if names is None:
            self.encoded |= {type_url}

    def gone(self, type_url: str) -> dict[str, Resource]:
        """Return the resources of one type that were there not long ago and no longer are, by name."""
        found: dict[str, Resource] = {}
        for before in self.past:
            for name in before.names(type_url):
                if name not in found and not self.has(type_url, name):
                    resource = before.get(type_url, name)
                    if resource is not None:
                        found[name] = resource
        return found

    def recall(self, type_url: str, name: str) -> Resource | None:
        """Look up a resource that is there, or was not long ago."""
        views = (self, *self.past)
        return next((found for each in views if (found := each.get(type_url, name)) is not None), None)

    def names(self, type_url: str) -> Iterator[str]:
        """Iterate over the names of one type, in no particular order."""
        found = self._names(type_url)
        return (name for name in found if not self.parks(type_url, name)) if self.has_parked else found

    def _names(self, type_url: str) -> Iterator[str]:
        before: list[Mapping[str, Resource]] = []
        for each in self.layers:
            found = each.get(type_url)
            if found is not None:
                yield from found if not before else _unseen(found, before)
                before.append(found)

    def resources(self, type_url: str) -> Iterator[Resource]:
        """Iterate over the resources of one type, in no particular order."""
        found = self._resources(type_url)
        return (each for each in found if not self.parks(type_url, each.name)) if self.has_parked else found

    def _resources(self, type_url: str) -> Iterator[Resource]:
        before: list[Mapping[str, Resource]] = []
        for each in self.layers:
            found = each.get(type_url)
            if found is not None:
                yield from (
                    found.values() if not before else (found[name] for name in _unseen(found, before))
                )
                before.append(found)

    def types(self) -> frozenset[str]:
        """Return the type URLs of which there is at least one resource."""
        return frozenset(
            type_url
            for each in self.layers
            for type_url, names in each.items()
            if names and not (is_reserve(type_url) or is_parked(type_url))
        )

    def count(self, type_url: str) -> int:
        """Return how many resources of one type there are."""
        return sum(1 for _ in self.names(type_url))

    def version(self, type_url: str) -> str:
        """Return the version of the whole set of one type; equal for equal sets in any process."""
        known = self._versions.get(type_url)
        if known is None:
            known = self._versions[type_url] = version_of(self.resources(type_url))
        return known


def _unseen(found: Mapping[str, Resource], before: list[Mapping[str, Resource]]) -> Iterator[str]:
    return (name for name in found if not any(name in names for names in before))


def version_of(resources: Iterable[Resource]) -> str:
    """Hash a set of resources from their versions: order does not matter, 16 hexadecimal digits.

    A sum, because a resource's version already binds type, name and bytes.
    """
    return f"{sum(int(resource.version, 16) for resource in resources) % _VERSION_SPACE:016x}"
