"""Three layers of resources, in one of the forms in which clients take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock

from xds_server.snapshot.resource import Layer
from xds_server.snapshot.view import View

Regional = Callable[[str], Layer]


def no_layer(_region: str) -> Layer:
    """Return nothing, for any region."""
    return {}


class Layers:
    """For the whole fleet, per gateway, and per region; and the views of them, each made once.

    `regional` makes a region's layer when it is first asked for; the layer is kept. Safe to use from several
    threads: one at a time calls `regional`.
    """

    def __init__(self, shared: Layer, gateways: Mapping[str, Layer], regional: Regional = no_layer) -> None:
        self.shared = shared
        self.gateways = gateways
        self._regional = regional
        self._regions: dict[str, Layer] = {}
        self._views: dict[tuple[str, str], View] = {}
        self._lock = Lock()

    def region(self, name: str) -> Layer:
        """Return a region's layer, made now if this is its first use."""
        with self._lock:
            if name not in self._regions:
                self._regions[name] = self._regional(name)
            return self._regions[name]

    def made(self) -> list[Layer]:
        """Return the layers there are, those of the regions made so far included."""
        with self._lock:
            return [self.shared, *self.gateways.values(), *self._regions.values()]

    def view(self, generation: int, gateway: str, region: str, before: View | None = None) -> View | None:
        """Return what a gateway's clients in a region see, always the same object; `None`: no such gateway.

        With an earlier view as `before`, a gateway that has gone since keeps what was its own.
        """
        known = self._views.get((gateway, region))
        if known is not None:
            return known
        own = self.gateways.get(gateway)
        if own is None and before is not None:
            _, own, _ = before.layers
        if own is None:
            return None
        view = View(generation, (self.shared, own, self.region(region)))
        return self._views.setdefault((gateway, region), view)
