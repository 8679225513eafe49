"""The order in which a revision's backends are tried, as one region sees them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .endpoint import Backend, Revision
from .place import Place, order_places
from .routing import Routing


@dataclass(frozen=True, slots=True)
class Tier:
    """The backends in one place. Of equal ``priority`` are those that share the requests, by ``weight``.

    A priority is used when those before it cannot be.
    """

    priority: int
    place: Place
    weight: int
    standby: bool
    backends: tuple[Backend, ...]


def order_backends(revision: Revision, origin: Place | None) -> list[Tier]:
    """The backends in use by place: as the routing says, else the nearest place first; standbys after all others.

    ``origin`` is where the Envoy stands; ``None`` (a region nobody declared) orders by name.
    """
    used = [backend for backend in revision.backends if backend.weight > 0]
    tiers: list[Tier] = []
    priority = 0
    for standby in (False, True):
        group = [backend for backend in used if backend.standby is standby]
        places = order_places((backend.place for backend in group), origin)
        ranks = _rank(places, revision.routing, standby=standby)
        if not standby and origin is not None and origin.region in revision.spills:
            ranks = _spill(ranks, revision.routing)
        for rank in ranks:
            for place, weight in rank:
                members = tuple(backend for backend in group if backend.place.name == place.name)
                tiers.append(Tier(priority, place, weight, standby, members))
            priority += 1
    return tiers


def _rank(places: Sequence[Place], routing: Routing, *, standby: bool) -> list[list[tuple[Place, int]]]:
    """Places in order of distance, in the order in which they are tried: those of a rank together, with weights."""
    # Standbys are never part of the split: each of their places waits for the one before it.
    shares = {} if standby else dict(routing.weights)
    sharing = [(place, shares[place.name]) for place in places if place.name in shares]
    first = {name: at for at, name in enumerate(routing.order)}
    rest = sorted(
        (place for place in places if place.name not in shares),
        key=lambda place: first.get(place.name, len(first)),
    )
    alone = [[(place, 1)] for place in rest]
    return [sharing, *alone] if sharing else alone


def _spill(ranks: list[list[tuple[Place, int]]], routing: Routing) -> list[list[tuple[Place, int]]]:
    """The ranks with a share of the first place's requests for the next one, if there is one."""
    if routing.overflow is None or len(ranks) < 2:
        return ranks
    [(home, _)], [(beyond, _)], *rest = ranks
    share = routing.overflow.share
    return [[(home, 100 - share), (beyond, share)], *rest]
