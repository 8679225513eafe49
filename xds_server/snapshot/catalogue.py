"""Everything the fleet may be sent at one generation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock

from xds_server.snapshot.audience import Audience, Identity
from xds_server.snapshot.resource import Layer
from xds_server.snapshot.view import View


def _no_layer(_region: str) -> Layer:
    return {}


class Catalogue:
    """Three layers of resources: for the whole fleet, per gateway, and per region.

    `regional` makes a region's layer when a node of that region is first seen; the layer is kept as long as
    the catalogue. To keep a change cheap, hand over the same `Resource` objects, and where possible the same
    mappings, for what did not change. Safe to use from several threads: one at a time calls `regional`.
    """

    def __init__(
        self,
        generation: int,
        *,
        shared: Layer,
        gateways: Mapping[str, Layer],
        regional: Callable[[str], Layer] = _no_layer,
    ) -> None:
        self.generation = generation
        self.shared = shared
        self.gateways = gateways
        self._regional = regional
        self._regions: dict[str, Layer] = {}
        self._views: dict[Audience, View] = {}
        self._lock = Lock()

    def region(self, name: str) -> Layer:
        """Return a region's layer, made now if this is its first use."""
        with self._lock:
            if name not in self._regions:
                self._regions[name] = self._regional(name)
            return self._regions[name]

    def counts(self) -> dict[str, int]:
        """Return how many resources there are by type URL, those of the regions made so far included."""
        with self._lock:
            layers = [self.shared, *self.gateways.values(), *self._regions.values()]
        counts: dict[str, int] = {}
        for each in layers:
            for type_url, names in each.items():
                counts[type_url] = counts.get(type_url, 0) + len(names)
        return counts

    def gateway_of(self, identity: Identity) -> str:
        """Return the name of the gateway that a node is a member of; there may be no such gateway."""
        return identity.cluster

    def view(self, audience: Audience, before: View | None = None) -> View | None:
        """Return what an audience sees, always the same object; `None` when there is no such gateway.

        With the view of an earlier catalogue as `before`, a gateway that has gone since keeps what was its own;
        all else follows, lest its nodes go on letting in whom nobody trusts any more.
        """
        known = self._views.get(audience)
        if known is not None:
            return known
        gateway = self.gateways.get(audience.gateway)
        if gateway is None and before is not None:
            _, gateway, _ = before.layers
        if gateway is None:
            return None
        view = View(self.generation, (self.shared, gateway, self.region(audience.region)))
        return self._views.setdefault(audience, view)
