"""Three layers of resources, in one of the forms in which clients take them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Final

from xds_server.snapshot.resource import Layer
from xds_server.snapshot.view import View

Regional = Callable[[str], Layer]
NOTHING_SHARED: Final[Layer] = {}
"""In the place of what all share, in the views of a gateway that sees its own only."""


def no_layer(_region: str) -> Layer:
    """Return nothing, for any region."""
    return {}


class Layers:
    """For the whole fleet, per gateway, and per region; and the views of them, each made once.

    `regional` makes a region's layer when it is first asked for; the layer is kept. The gateways in `private`
    see their own layer and their own regions' instead, and nothing of what others share. Safe to use from several
    threads: one at a time calls `regional`.
    """

    def __init__(
        self,
        shared: Layer,
        gateways: Mapping[str, Layer],
        regional: Regional = no_layer,
        private: Mapping[str, Regional] | None = None,
    ) -> None:
        self.shared = shared
        self.gateways = gateways
        self.private = private or {}
        self._regional = regional
        self._regions: dict[tuple[str | None, str], Layer] = {}
        self._views: dict[tuple[str, str], View] = {}
        self._lock = Lock()

    def region(self, name: str, gateway: str | None = None) -> Layer:
        """Return a region's layer, made now if this is its first use; a private gateway has one of its own."""
        owner = gateway if gateway in self.private else None
        regional = self._regional if owner is None else self.private[owner]
        with self._lock:
            if (owner, name) not in self._regions:
                self._regions[owner, name] = regional(name)
            return self._regions[owner, name]

    def made(self) -> list[Layer]:
        """Return the layers there are, those of the regions made so far included."""
        # Without the lock, which is kept while a region's layer is made.
        return [self.shared, *self.gateways.values(), *self._regions.copy().values()]

    def view(self, generation: int, gateway: str, region: str, before: View | None = None) -> View | None:
        """Return what a gateway's clients in a region see, always the same object; `None`: no such gateway.

        With an earlier view as `before`, a gateway that has gone since keeps what was its own; a private one
        keeps nothing, since what its clients may see was said by it alone.
        """
        known = self._views.get((gateway, region))
        if known is not None:
            return known
        own = self.gateways.get(gateway)
        if own is None and before is not None:
            common, own, _ = before.layers
            if common is NOTHING_SHARED:
                return self._views.setdefault((gateway, region), View(generation, (NOTHING_SHARED, {}, {})))
        if own is None:
            return None
        shared = NOTHING_SHARED if gateway in self.private else self.shared
        view = View(generation, (shared, own, self.region(region, gateway)))
        return self._views.setdefault((gateway, region), view)
