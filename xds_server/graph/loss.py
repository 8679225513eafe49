"""Loss: what would vanish from the fleet with the next graph, and whether that is too much to go unasked.

A source that is suddenly empty (a volume not mounted, a sync half done) looks the same as one that was emptied on
purpose. Compared are clusters and listeners, which Envoy is told to drop by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .endpoint import Endpoint
from .graph import Graph
from .hold import Hold


@dataclass(frozen=True, slots=True)
class Vanished:
    """What would be gone of one kind: names in order, out of how many, how many would be left.

    ``things`` is how many independent things that is: the clusters of one model are one.
    """

    names: tuple[str, ...] = ()
    before: int = 0
    after: int = 0
    things: int = 0

    def exceeds(self, share: float) -> bool:
        """Whether this is more than the share of what there was, or all of it.

        A single model or listener may go as long as another stays: two of them are no fleet yet.
        """
        if not self.names:
            return False
        return self.after == 0 or (self.things > 1 and len(self.names) > share * self.before)


@dataclass(frozen=True, slots=True)
class Loss:
    """What would vanish at once, clusters and listeners."""

    clusters: Vanished = Vanished()
    listeners: Vanished = Vanished()

    def exceeds(self, share: float) -> bool:
        """Whether it needs to be confirmed."""
        return self.clusters.exceeds(share) or self.listeners.exceeds(share)

    def shares(self, other: Loss) -> bool:
        """Whether something would vanish in both."""
        both = zip((self.clusters, self.listeners), (other.clusters, other.listeners), strict=True)
        return any(not set(one.names).isdisjoint(two.names) for one, two in both)

    def hold(self) -> Hold:
        """What has to stay lest anything vanishes: the workspaces that would lose clusters, or the gateways."""
        workspaces = frozenset(name.partition("/")[0] for name in self.clusters.names)
        return Hold(workspaces, bool(self.listeners.names))


def find_loss(before: Graph, after: Graph) -> Loss:
    """Compare two graphs, of which the second follows the first. Looks at what changed only."""
    return Loss(_find_clusters(before, after), _find_listeners(before, after))


def _find_clusters(before: Graph, after: Graph) -> Vanished:
    changed, left = after.endpoints.since(before.endpoints)
    old = {name for path in changed | left for name in _clusters(before.endpoints.get(path))}
    gone = old - {name for path in changed for name in _clusters(after.endpoints[path])}
    if not gone:
        return Vanished()
    models = {"/".join(name.split("/")[:3]) for name in gone}
    return Vanished(tuple(sorted(gone)), before.clusters, after.clusters, len(models))


def _clusters(endpoint: Endpoint | None) -> Iterator[str]:
    if endpoint is None:
        return
    for deployment in endpoint.deployments:
        for revision in deployment.revisions:
            yield f"{endpoint.path}/{deployment.environment}/{revision.name}"


def _find_listeners(before: Graph, after: Graph) -> Vanished:
    if before.edges is after.edges:
        return Vanished()
    old, new = _listeners(before), _listeners(after)
    gone = old - new
    return Vanished(tuple(sorted(gone)), len(old), len(new), len(gone))


def _listeners(graph: Graph) -> set[str]:
    return {
        f"{edge.name}/{listener.name}"
        for edge in graph.edges.values()
        for listener in edge.gateway.spec.listeners
    }
