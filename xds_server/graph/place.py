"""Places: where a backend can stand, and how far one place is from another."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import asin, cos, radians, sin, sqrt

_EARTH_RADIUS_KM = 6371.0088


@dataclass(frozen=True, slots=True)
class Flavor:
    """Hardware that a place offers. ``type`` is ``cpu`` or ``gpu``; ``name`` is the operator's word for it."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Place:
    """A location as the graph sees it. Codes are lower case; coordinates are degrees."""

    name: str
    region: str
    country: str
    continent: str
    latitude: float
    longitude: float
    flavors: tuple[Flavor, ...]

    def flavor(self, name: str) -> Flavor | None:
        """The flavor of that name, or ``None`` if the place does not offer it."""
        return next((flavor for flavor in self.flavors if flavor.name == name), None)


def measure_distance(one: Place, other: Place) -> float:
    """The great-circle distance in kilometres (haversine)."""
    lat1, lat2 = radians(one.latitude), radians(other.latitude)
    half_lat = (lat2 - lat1) / 2
    half_lon = radians(other.longitude - one.longitude) / 2
    chord = sin(half_lat) ** 2 + cos(lat1) * cos(lat2) * sin(half_lon) ** 2
    return 2 * _EARTH_RADIUS_KM * asin(min(1.0, sqrt(chord)))


def order_places(places: Iterable[Place], origin: Place | None) -> tuple[Place, ...]:
    """The places nearest first as seen from ``origin``, ties by name; by name alone when the origin is unknown."""
    distinct = {place.name: place for place in places}.values()
    if origin is None:
        return tuple(sorted(distinct, key=lambda place: place.name))
    return tuple(sorted(distinct, key=lambda place: (measure_distance(origin, place), place.name)))
