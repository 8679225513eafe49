from __future__ import annotations

from math import asin, cos, radians, sin, sqrt

import pytest

from xds_server.policy import BUILT_IN_LOCATIONS, CONTINENTS, CONTINENTS_OF, COUNTRIES, Location
from xds_server.policy.regions import REGIONS


def _kilometres(one: str, other: str) -> float:
    a, b = BUILT_IN_LOCATIONS[one].spec, BUILT_IN_LOCATIONS[other].spec
    north, east = radians(b.latitude - a.latitude) / 2, radians(b.longitude - a.longitude) / 2
    across = sin(north) ** 2 + cos(radians(a.latitude)) * cos(radians(b.latitude)) * sin(east) ** 2
    return 12742 * asin(sqrt(across))


def test_names_do_not_clash() -> None:
    names = [row.split()[0] for rows in REGIONS.values() for row in rows.strip().splitlines()]
    assert len(names) == len(set(names)) == len(BUILT_IN_LOCATIONS)
    assert len(names) > 120


@pytest.mark.parametrize("location", BUILT_IN_LOCATIONS.values(), ids=lambda each: each.name)
def test_facts_fit_together(location: Location) -> None:
    spec = location.spec
    assert location.region == location.name
    assert spec.continent in CONTINENTS_OF[spec.country]
    assert -90 <= spec.latitude <= 90
    assert -180 <= spec.longitude <= 180
    assert {flavor.name: flavor.type for flavor in spec.flavors} == {"cpu": "cpu", "gpu": "gpu"}
    # Each continent in a box that is generous at sea: it would catch a sign forgotten, or two numbers swapped.
    south, north, west, east = {
        "af": (-36, 38, -26, 60),
        "as": (-12, 56, 25, 146),
        "eu": (34, 72, -32, 45),
        "na": (7, 84, -170, -50),
        "oc": (-48, 20, 110, 180),
        "sa": (-57, 13, -82, -34),
    }[spec.continent]
    assert south < spec.latitude < north
    assert west < spec.longitude < east


@pytest.mark.parametrize(
    ("one", "other", "kilometres"),
    [
        ("eu-west-3", "europe-west9", 0),
        ("eu-west-3", "eu-central-1", 480),
        ("eu-west-3", "us-east-1", 6180),
        ("ap-southeast-2", "australiaeast", 0),
        ("us-east-1", "us-west-2", 3530),
    ],
)
def test_distances(one: str, other: str, kilometres: float) -> None:
    assert abs(_kilometres(one, other) - kilometres) < 60


def test_the_cloud_regions_of_one_city_share_a_country() -> None:
    for one in BUILT_IN_LOCATIONS.values():
        for other in BUILT_IN_LOCATIONS.values():
            if _kilometres(one.name, other.name) < 1:
                assert one.spec.country == other.spec.country


def test_countries() -> None:
    assert len(COUNTRIES) == 249
    assert all(len(code) == 2 and code.islower() for code in COUNTRIES)
    assert {continent for those in CONTINENTS_OF.values() for continent in those} == CONTINENTS.keys()
    assert CONTINENTS_OF["fr"] == {"eu"}
    assert CONTINENTS_OF["tr"] == {"as", "eu"}
