"""Which clusters the routes of one stream lead to: of those in reserve a client is sent no others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Set


class Following:
    """Counts, for each cluster, the routes that lead to it. Holds nothing of routes that are not asked for."""

    def __init__(self) -> None:
        self._clusters: dict[str, tuple[str, ...]] = {}
        """By route."""
        self._routes: dict[str, int] = {}
        """By cluster, how many."""

    def __contains__(self, cluster: object) -> bool:
        return cluster in self._routes

    def __iter__(self) -> Iterator[str]:
        return iter(self._routes)

    def __len__(self) -> int:
        return len(self._routes)

    def among(self, clusters: Set[str]) -> Set[str]:
        """Return those of these clusters that are followed."""
        return self._routes.keys() & clusters

    def clear(self) -> None:
        """Forget all."""
        self._clusters.clear()
        self._routes.clear()

    def update(self, routes: Mapping[str, Iterable[str]]) -> set[str]:
        """Take note of where routes lead now, to no cluster at all if nobody asks for them any more.

        Returns the clusters that are followed from now on, and those that no longer are.
        """
        before: set[str] = set()
        after: set[str] = set()
        for route, clusters in routes.items():
            before.update(self._drop(route))
            distinct = tuple(dict.fromkeys(clusters))
            after.update(distinct)
            for cluster in distinct:
                self._routes[cluster] = self._routes.get(cluster, 0) + 1
            if distinct:
                self._clusters[route] = distinct
        return (before - self._routes.keys()) | (after - before)

    def _drop(self, route: str) -> tuple[str, ...]:
        clusters = self._clusters.pop(route, ())
        for cluster in clusters:
            left = self._routes.pop(cluster) - 1
            if left:
                self._routes[cluster] = left
        return clusters
