"""What each Envoy release sees of a control plane that changes, dies and comes back (`journey.py` is the way)."""

from __future__ import annotations

import pytest

from tests.matrix.combination import Combination
from tests.matrix.journey import Journey
from xds_server.protocol.types import ORDER, short

pytestmark = pytest.mark.envoy


def test_H10_I2_I4_no_request_fails_while_everything_changes_and_the_server_dies(journey: Journey) -> None:
    assert journey.bad == []
    assert journey.answers > 500


def test_B2_M12_J6_no_subscription_ever_waits_in_vain(journey: Journey) -> None:
    assert journey.stalls == {}
    assert journey.during_boot > 0


def test_B8_A5_every_release_takes_all_that_it_is_sent(journey: Journey) -> None:
    assert journey.rejected == {}


def test_H8_a_restart_with_the_same_input_changes_nothing(combination: Combination, journey: Journey) -> None:
    before, after = journey.restart["updates"]
    assert before == after
    had, has = journey.restart["received"]
    assert has.keys() == had.keys()
    if combination.variant == "delta":
        assert has == had


def test_I1_J1_D2_every_invariant_holds_over_the_whole_trace(journey: Journey) -> None:
    assert journey.faults == []
    seen = {short(each.type_url) for each in journey.trace if each.kind == "response"}
    assert seen >= {short(each) for each in ORDER}


def test_I4_G12_what_nothing_leads_to_is_gone_in_the_end(journey: Journey) -> None:
    there = {line.partition("::")[0] for line in journey.left.splitlines()}
    kept = {f"acme/models/{each}" for each in ("busy/production/r6", "sealed/production/t0")}
    assert kept < there
    assert not [each for each in there if "going" in each or ("busy" in each and not each.endswith("r6"))]


def test_H1_H4_a_storm_of_reconnects_is_survived(journey: Journey) -> None:
    assert journey.cuts == 20
    assert journey.bad == []


def test_P1_envoy_is_told_who_controls_it(journey: Journey) -> None:
    assert '"fairlead"' in journey.identifier
