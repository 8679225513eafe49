"""The built-in catalogue of locations: the regions of the large clouds."""

from __future__ import annotations

from xds_server.policy.kinds.base import Metadata
from xds_server.policy.kinds.location import Location, LocationSpec
from xds_server.policy.regions import REGIONS


def _location(row: str) -> Location:
    name, country, continent, latitude, longitude = row.split()
    return Location(
        metadata=Metadata(name=name),
        spec=LocationSpec.read(
            {
                "country": country,
                "continent": continent,
                "latitude": float(latitude),
                "longitude": float(longitude),
            }
        ),
    )


BUILT_IN_LOCATIONS: dict[str, Location] = {
    location.name: location
    for location in (_location(row) for rows in REGIONS.values() for row in rows.strip().splitlines())
}
"""Every built-in Location by its name, which is also its region."""
