"""What one audience sees of a catalogue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from xds_server.snapshot.reserve import is_reserve, reserve
from xds_server.snapshot.resource import Layer, Resource

_VERSION_SPACE = 1 << 64


class View:
    """A few layers seen as one. A name is in one layer only per type; should it be in several, the first
    has it.

    What is in reserve is found by its name, and is no part of everything: only who follows it is sent it.

    Costs nothing to make: layers are shared between the views of all audiences and are never copied.
    """

    __slots__ = ("_versions", "generation", "has_reserve", "layers", "past")

    def __init__(self, generation: int, layers: Iterable[Layer]) -> None:
        self.generation = generation
        self.layers: tuple[Layer, ...] = tuple(layers)
        self.past: tuple[View, ...] = ()
        """What the audience saw before, the newest first, as far as it is remembered."""
        self.has_reserve = any(is_reserve(key) for each in self.layers for key in each)
        self._versions: dict[str, str] = {}

    def get(self, type_url: str, name: str) -> Resource | None:
        """Look one resource up; `None` when there is none of that name."""
        for each in self.layers:
            names = each.get(type_url)
            if names is not None and (resource := names.get(name)) is not None:
                return resource
        return self.get(reserve(type_url), name) if self.has_reserve and not is_reserve(type_url) else None

    def reserves(self, type_url: str, name: str) -> bool:
        """Say whether a resource is there for those who follow or name it only."""
        return self.has_reserve and self.get(reserve(type_url), name) is not None

    def gone(self, type_url: str) -> dict[str, Resource]:
        """Return the resources of one type that were there not long ago and no longer are, by name."""
        found: dict[str, Resource] = {}
        for before in self.past:
            for resource in before.resources(type_url):
                if resource.name not in found and self.get(type_url, resource.name) is None:
                    found[resource.name] = resource
        return found

    def recall(self, type_url: str, name: str) -> Resource | None:
        """Look up a resource that is there, or was not long ago."""
        views = (self, *self.past)
        return next((found for each in views if (found := each.get(type_url, name)) is not None), None)

    def names(self, type_url: str) -> Iterator[str]:
        """Iterate over the names of one type, in no particular order."""
        return (resource.name for resource in self.resources(type_url))

    def resources(self, type_url: str) -> Iterator[Resource]:
        """Iterate over the resources of one type, in no particular order."""
        before: list[Mapping[str, Resource]] = []
        for each in self.layers:
            found = each.get(type_url)
            if found:
                yield from found.values() if not before else _unseen(found, before)
                before.append(found)

    def types(self) -> frozenset[str]:
        """Return the type URLs of which there is at least one resource."""
        return frozenset(
            type_url
            for each in self.layers
            for type_url, names in each.items()
            if names and not is_reserve(type_url)
        )

    def count(self, type_url: str) -> int:
        """Return how many resources of one type there are."""
        return sum(1 for _ in self.resources(type_url))

    def version(self, type_url: str) -> str:
        """Return the version of the whole set of one type; equal for equal sets in any process."""
        known = self._versions.get(type_url)
        if known is None:
            known = self._versions[type_url] = version_of(self.resources(type_url))
        return known


def _unseen(found: Mapping[str, Resource], before: list[Mapping[str, Resource]]) -> Iterator[Resource]:
    return (found[name] for name in found if not any(name in names for names in before))


def version_of(resources: Iterable[Resource]) -> str:
    """Hash a set of resources from their versions: order does not matter, 16 hexadecimal digits.

    A sum, because a resource's version already binds type, name and bytes.
    """
    return f"{sum(int(resource.version, 16) for resource in resources) % _VERSION_SPACE:016x}"
