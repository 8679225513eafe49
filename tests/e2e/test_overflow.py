"""Overflow through real Envoys, whose models come on demand: a share goes to the next allowed place, and comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.e2e.held import hold_order
from tests.e2e.manifest import backend, manifest, revision, write
from tests.e2e.moving import GATEWAY, MODEL, Moving, Traffic, run_moving
from tests.e2e.world import FRANKFURT, PARIS, VIRGINIA
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

OVERFLOW = {"above": 8, "below": 5, "share": 30}
BUSY, CALM = 12, 2
"""Clients that ask without a pause: as many requests are in progress."""


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moving]:
    with run_moving(tmp_path_factory.mktemp("overflow"), (PARIS, VIRGINIA), delivery="on-demand") as made:
        for label, delay in (("home", 0.2), ("next", 0.2), ("forbidden", 0.0)):
            made.server(label).delay = delay
        europe = manifest(
            "Policy", "europe", "acme", type="location", locations=[{"type": "continent", "name": "eu"}]
        )
        made.save(lambda: write(made.folder, "acme/europe.yaml", [europe]))
        yield made


@pytest.fixture
def traffic(moving: Moving) -> Iterator[Traffic]:
    """Some requests in Paris, all of which are answered; and in Virginia, so that its Envoy has the model, too."""
    places = ((PARIS, "home"), (FRANKFURT, "next"), (VIRGINIA, "forbidden"))
    backends = [backend(place, moving.servers[label].address) for place, label in places]
    moving.write(revisions=[revision("v1", *backends)], routing={"overflow": OVERFLOW}, policies=["europe"])
    with moving.traffic(PARIS, CALM) as made, moving.traffic(VIRGINIA, 1) as other:
        wait_until(lambda: made.copy() and other.copy(), "both Envoys have the model")
        moving.rest()
        yield made
    for each in (made, other):
        assert each.failed == 0, (each.answers, each.broken)
    assert moving.servers["forbidden"].count == 0


def spilling(moving: Moving) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = moving.serving.ask("/overflows")["overflows"]
    return found


def localities(moving: Moving, region: str) -> list[tuple[int, str, int]]:
    """The places of the model as the region's Envoy has them: priority, zone, weight; the larger share first."""
    return hold_order(moving.envoys[f"{GATEWAY}-{region}"], f"{MODEL}/production/v1")


def test_a_share_goes_to_the_next_place_and_comes_back(moving: Moving, traffic: Traffic) -> None:
    assert localities(moving, PARIS) == [(0, PARIS, 1), (1, FRANKFURT, 1)]
    before = moving.versions()
    with moving.traffic(PARIS, BUSY) as burst:
        wait_until(lambda: spilling(moving), "it spills")
        assert spilling(moving) == [{"path": MODEL, "environment": "production", "regions": [PARIS]}]
        wait_until(lambda: localities(moving, PARIS)[0][2] == 70, "the Envoy has it")
        assert localities(moving, PARIS) == [(0, PARIS, 70), (0, FRANKFURT, 30)]
        done = burst.copy()
        wait_until(lambda: sum(burst.copy().values()) > sum(done.values()) + 200, "more requests")
        assert burst.shares(done)["next"] == pytest.approx(0.3, abs=0.12)
        # Home has less to do than `above` by now, and still nothing comes back.
        assert spilling(moving)
    assert burst.failed == 0, (burst.answers, burst.broken)
    wait_until(lambda: not spilling(moving), "it is over")
    wait_until(lambda: localities(moving, PARIS) == [(0, PARIS, 1), (1, FRANKFURT, 1)], "the Envoy has it")
    traffic.advance(2)  # what was on its way
    done = traffic.copy()
    wait_until(lambda: sum(traffic.copy().values()) > sum(done.values()) + 20, "more requests")
    assert traffic.shares(done).get("next", 0.0) < 0.2
    wait_until(lambda: moving.versions() == before, "all is as it was")


def test_only_the_endpoints_of_that_region_change(moving: Moving, traffic: Traffic) -> None:
    before = moving.versions()
    there = localities(moving, VIRGINIA)
    envoy = moving.envoys[f"{GATEWAY}-{PARIS}"]
    pattern = "cluster_manager.cluster_(added|modified|removed)$|rds.*update_success|srds.*update_success"
    counted = envoy.stats(pattern)
    with moving.traffic(PARIS, BUSY):
        wait_until(lambda: moving.versions() != before, "it spills")
        moving.rest()
        after = moving.versions()
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        assert changed == {(f"{GATEWAY}-{PARIS}", "ClusterLoadAssignment", f"{MODEL}/production/v1")}
        assert envoy.stats(pattern) == counted
        assert localities(moving, VIRGINIA) == there
    wait_until(lambda: not spilling(moving), "it is over")


def test_what_spills_outlives_the_control_plane(moving: Moving, traffic: Traffic) -> None:
    with ExitStack() as burst:
        burst.enter_context(moving.traffic(PARIS, BUSY))
        wait_until(lambda: localities(moving, PARIS)[0][2] == 70, "it spills")
        moving.serving.kill()
        moving.serving.start()
        assert spilling(moving)
    wait_until(lambda: not spilling(moving), "it is over")


def test_without_a_home_all_of_it_goes_to_the_next_place(moving: Moving, traffic: Traffic) -> None:
    moving.servers["home"].close()
    try:
        wait_until(lambda: traffic.copy().get((200, "next")), "the next place answers")
        done = traffic.copy()
        wait_until(lambda: sum(traffic.copy().values()) > sum(done.values()) + 20, "more requests")
        assert traffic.shares(done)["next"] == 1.0
    finally:
        moving.servers["home"].open()
