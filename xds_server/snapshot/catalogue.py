"""Everything the fleet may be sent at one generation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from threading import Lock

from xds_server.snapshot.audience import Audience, Dialect, Identity
from xds_server.snapshot.layers import Layers, Regional, no_layer
from xds_server.snapshot.nodes import NodeRule, find_gateway
from xds_server.snapshot.resource import Layer
from xds_server.snapshot.view import View

Speak = Callable[[str, Dialect], Layers | None]


def _plainly(_gateway: str, _dialect: Dialect) -> Layers | None:
    return None


class Catalogue:
    """Three layers of resources: for the whole fleet, per gateway, and per region.

    `regional` makes a region's layer when a node of that region is first seen; the layer is kept as long as
    the catalogue. The gateways in `private` have regional layers of their own, and see nothing that others
    share. `speak` makes the layers for a gateway's clients of a dialect when the first of them is seen, and the same
    object whenever that is asked again; `None` stands for what the newest Envoy is sent over ADS. To keep a
    change cheap, hand over the same `Resource` objects, and where possible the same mappings, for what did not
    change. Safe to use from several threads: one at a time calls `regional` or `speak`.
    """

    def __init__(
        self,
        generation: int,
        *,
        shared: Layer,
        gateways: Mapping[str, Layer],
        regional: Regional = no_layer,
        private: Mapping[str, Regional] | None = None,
        speak: Speak = _plainly,
        nodes: Iterable[NodeRule] = (),
        identities: Mapping[str, frozenset[str]] | None = None,
        intact_since: int | None = None,
    ) -> None:
        self.generation = generation
        self.shared = shared
        self.gateways = gateways
        self.identities = identities or {}
        """By gateway, the certificate names (SANs) of which a client must have one to be its node, where clients
        are asked for certificates; a gateway that is not there goes by its name."""
        self.intact_since = generation if intact_since is None else intact_since
        """The first generation since which no cluster has gone: all that were there are in this catalogue."""
        self._nodes = tuple(nodes)
        self._plain = Layers(shared, gateways, regional, private)
        self._speak = speak
        self._lock = Lock()

    def region(self, name: str) -> Layer:
        """Return a region's layer, made now if this is its first use."""
        return self._plain.region(name)

    def counts(self) -> dict[str, int]:
        """Return how many resources there are by type URL, those of the regions made so far included."""
        counts: dict[str, int] = {}
        for each in self._plain.made():
            for type_url, names in each.items():
                counts[type_url] = counts.get(type_url, 0) + len(names)
        return counts

    def gateway_of(self, identity: Identity) -> str:
        """Return the name of the gateway that a node is a member of; there may be no such gateway.

        Without rules that is the cluster that the node names, as it is for a gateway that nobody declared.
        """
        named = find_gateway(self._nodes, identity)
        if named is not None or not self._nodes or identity.cluster not in self.gateways:
            return identity.cluster if named is None else named
        return ""  # its cluster is a gateway's name, and the gateway's own rules leave it out

    def divides_like(self, other: Catalogue) -> bool:
        """Say whether another catalogue makes each node a member of the same gateway as this one."""
        return self._nodes == other._nodes and self.gateways.keys() == other.gateways.keys()

    def view(self, audience: Audience, before: View | None = None) -> View | None:
        """Return what an audience sees, always the same object; `None` when there is no such gateway.

        With the view of an earlier catalogue as `before`, a gateway that has gone since keeps what was its own;
        all else follows, lest its nodes go on letting in whom nobody trusts any more.
        """
        layers = self._layers(audience.gateway, audience.dialect)
        return layers.view(self.generation, audience.gateway, audience.region, before)

    def _layers(self, gateway: str, dialect: Dialect) -> Layers:
        if dialect == Dialect():
            return self._plain
        with self._lock:
            return self._speak(gateway, dialect) or self._plain
