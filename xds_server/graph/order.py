"""The order in which a revision's backends are tried, as one region sees them."""

from __future__ import annotations

from .endpoint import Backend, Revision
from .place import Place, order_places


def order_backends(revision: Revision, origin: Place | None) -> list[list[Backend]]:
    """The backends in use, grouped by place, the nearest place first, standbys after all others in the same order.

    ``origin`` is where the Envoy stands; ``None`` (a region nobody declared) orders by name.
    """
    used = [backend for backend in revision.backends if backend.weight > 0]
    tiers = []
    for standby in (False, True):
        group = [backend for backend in used if backend.standby is standby]
        for place in order_places((backend.place for backend in group), origin):
            tier = [backend for backend in group if backend.place.name == place.name]
            tiers.append(tier)
    return tiers
