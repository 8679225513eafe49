"""In which order places are tried."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.graph import world as w
from xds_server.graph import Place, measure_distance, order_backends, order_places
from xds_server.graph.fleet import build_fleet
from xds_server.policy import load

WORLD = build_fleet(load({}, {})).places


def at(name: str, latitude: float, longitude: float) -> Place:
    return Place(name, name, "fr", "eu", latitude, longitude, ())


@pytest.mark.parametrize(
    ("one", "other", "kilometres"),
    [
        ("eu-west-3", "eu-west-3", 0),
        ("eu-west-3", "eu-west-2", 344),  # Paris, London
        ("eu-west-3", "us-east-1", 6184),  # Paris, northern Virginia
        ("us-west-2", "ap-northeast-1", 7972),  # Oregon, Tokyo: over the date line
        ("eu-north-1", "ap-southeast-2", 15_594),  # Stockholm, Sydney
    ],
)
def test_distance_is_along_the_great_circle(one: str, other: str, kilometres: float) -> None:
    assert measure_distance(WORLD[one], WORLD[other]) == pytest.approx(kilometres, rel=0.01, abs=1)


@given(*(st.floats(-90, 90), st.floats(-180, 180)) * 2)
def test_distance_is_symmetric_and_no_longer_than_half_the_earth(
    north: float, east: float, other_north: float, other_east: float
) -> None:
    one, other = at("one", north, east), at("other", other_north, other_east)
    distance = measure_distance(one, other)
    assert 0 <= distance <= 20_016
    assert distance == pytest.approx(measure_distance(other, one), abs=1e-6)


def test_antipodes_are_half_the_earth_apart() -> None:
    assert measure_distance(at("a", 0, 0), at("b", 0, 180)) == pytest.approx(20_015, abs=1)


def test_the_date_line_is_no_barrier() -> None:
    assert measure_distance(at("a", 0, 179.5), at("b", 0, -179.5)) == pytest.approx(111, abs=1)


def test_nearest_first() -> None:
    names = ["us-east-1", "eu-central-1", "ap-northeast-1", "eu-west-3", "eu-west-3"]
    ordered = order_places([WORLD[name] for name in names], WORLD["eu-west-3"])
    assert [each.name for each in ordered] == ["eu-west-3", "eu-central-1", "us-east-1", "ap-northeast-1"]


def test_ties_go_by_name_whatever_the_order_given() -> None:
    here = at("here", 0, 0)
    east, west, north = at("c", 0, 10), at("b", 0, -10), at("a", 10, 0)
    for given_order in ([east, west, north], [north, east, west], [west, north, east]):
        assert [each.name for each in order_places(given_order, here)] == ["a", "b", "c"]


def test_from_an_unknown_region_by_name() -> None:
    places = [WORLD[name] for name in ("us-east-1", "eu-west-3", "ap-northeast-1")]
    assert [each.name for each in order_places(places, None)] == ["ap-northeast-1", "eu-west-3", "us-east-1"]


def test_backends_are_tried_by_place_standbys_last_and_weight_zero_never() -> None:
    graph = w.build_graph(
        *w.FLEET,
        w.workspace(),
        w.model(
            "llama",
            w.deployment(
                w.revision(
                    "v1",
                    w.backend("eu-west-3", "10.0.0.1:80", standby=True),
                    w.backend("us-east-1", "10.0.0.2:80"),
                    w.backend("eu-central-1", "10.0.0.3:80"),
                    w.backend("us-east-1", "10.0.0.4:80", weight=5),
                    w.backend("eu-central-1", "10.0.0.5:80", weight=0),
                    w.backend("us-east-1", "10.0.0.6:80", standby=True),
                )
            ),
        ),
    )
    revision = w.endpoint(graph).deployments[0].revisions[0]
    hosts = [
        [backend.address.host for backend in tier.backends]
        for tier in order_backends(revision, graph.regions["eu-west-3"])
    ]
    assert hosts == [["10.0.0.3"], ["10.0.0.2", "10.0.0.4"], ["10.0.0.1"], ["10.0.0.6"]]
