"""Gates of a rollout at three Envoys: what their load reports say in sum, and Prometheus, decides for all of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chaos.fleet import GATEWAYS, TOKYO, VIRGINIA, Fleet
from tests.chaos.rollout import NEW_PLACES, Rollout
from tests.chaos.traffic import Traffic
from tests.envoy_process import wait_until
from tests.server.prometheus_server import prometheus

pytestmark = pytest.mark.envoy

_EACH = 20
_ALL = _EACH * len(GATEWAYS)


def _gates(above: float = 5, requests: int = 10) -> dict[str, Any]:
    return {"errorRate": {"above": above}, "minRequests": requests}


def _wait_for_reports(fleet: Fleet) -> None:
    """Until each Envoy has reported since: what it counts from then on lies in a step that has begun."""
    before = _reported(fleet)

    def look() -> bool:
        now = _reported(fleet)
        return all(now.get(name) not in (None, before.get(name)) for name in GATEWAYS)

    wait_until(look, "every Envoy has reported")


def _reported(fleet: Fleet) -> dict[str, str | None]:
    """When each Envoy last did."""
    return {each["id"]: each["reported"] for each in fleet.serving.ask("/loads")["nodes"]}


def _wait_while_time_passes(rollout: Rollout, **expected: object) -> None:
    """Until the rollout stands as expected, and still does when it was watched for longer than its step takes."""
    told = rollout.wait(**expected)
    wait_until(lambda: rollout.stand()["elapsed"] > told["elapsed"] + 1, "time passes")
    still = rollout.stand()
    assert still["phase"] == "running"
    assert still.items() >= expected.items(), still


def _send(rollout: Rollout, gateway: str) -> None:
    """So many requests through one Envoy that may not be sent again."""
    with rollout.fleet.connect(gateway) as wire:
        for _ in range(_EACH):
            wire.ask(f"/{rollout.path}", "POST", rollout.fleet.headers, b"{}")


def _is_all_old(rollout: Rollout, traffic: Traffic) -> bool:
    return all(met.keys() == {"v1"} for met in rollout.count(traffic, 10).values())


def test_the_requests_of_all_envoys_count_together_and_too_few_of_them_pass_nothing(fleet: Fleet) -> None:
    """Each reports a third of what it takes; that the time of the step is over is not enough."""
    with Rollout(fleet, "summed") as rollout:
        rollout.declare(canary=[100], stepTime="1s", gates=_gates(requests=_ALL))
        rollout.arrive(100)
        _wait_for_reports(fleet)
        for at, gateway in enumerate(GATEWAYS):
            words = f"{at * _EACH} of {_ALL} requests to the new revision are reported"
            _wait_while_time_passes(rollout, percent=100, reason="NO_DATA", words=words)
            _send(rollout, gateway)
        rollout.wait(phase="promoted", percent=100, reason="COMPLETED")


def test_one_region_that_fails_takes_the_new_revision_away_from_all(fleet: Fleet) -> None:
    """A third of all requests, which is what the control plane says; the other two regions have seen nothing bad."""
    with Rollout(fleet, "reverted") as rollout:
        rollout.declare(canary=[100], stepTime="1h", gates=_gates(requests=_ALL), onBreach="revert")
        rollout.arrive(100)
        _wait_for_reports(fleet)
        fleet.models[VIRGINIA].be("status 503")
        for gateway in GATEWAYS:
            _send(rollout, gateway)
        words = "33.33% of the new revision's requests failed, 0.00% of the old one's"
        rollout.wait(phase="reverted", percent=0, reason="ERROR_RATE", words=words)
        rollout.arrive(0)
        with Traffic(fleet, "reverted", "POST") as traffic:
            assert _is_all_old(rollout, traffic)
    assert rollout.events() == [(100, "STARTED"), (0, "ERROR_RATE")]
    assert traffic.met.keys() == {"200"}, traffic.met


@pytest.mark.parametrize("mood", ["status 503", "hang"])
def test_what_is_served_elsewhere_counts_and_no_client_notices(fleet: Fleet, mood: str) -> None:
    """One region's model fails, its requests are sent again to another one, and still the gate is breached."""
    rollout = Rollout(fleet, "quiet", retries={"perTryTimeout": "2s"})
    with rollout, Traffic(fleet, "quiet", "GET") as traffic:
        rollout.declare(canary=[50, 100], stepTime="1h", gates=_gates(above=0), onBreach="revert")
        rollout.arrive(50)
        before = fleet.mark()
        fleet.models[TOKYO].be(mood)
        rollout.wait(phase="reverted", percent=0, reason="ERROR_RATE")
        rollout.arrive(0)
        assert _is_all_old(rollout, traffic)
        assert TOKYO in fleet.heard("quiet", before)
    assert traffic.met.keys() == {"200"}, traffic.met


def test_a_breach_pauses_at_every_envoy_and_over_a_restart_until_somebody_decides(fleet: Fleet) -> None:
    """The models' own words are passed; from when they are well again nobody meets an error."""
    with Rollout(fleet, "breached") as rollout, Traffic(fleet, "breached", "POST") as traffic:
        for place in NEW_PLACES:
            fleet.models[place].be("status 503")
        rollout.declare(canary=[20, 100], stepTime="1s", gates=_gates())
        rollout.wait(phase="paused", percent=20, reason="ERROR_RATE")
        rollout.arrive(20)
        fleet.restart()
        rollout.wait(phase="paused", percent=20, reason="ERROR_RATE")
        rollout.arrive(20)
        for place in NEW_PLACES:
            fleet.models[place].be("well")
        traffic.advance(2)
        assert traffic.met.keys() == {"200", "503"}
        failed = traffic.met["503"]
        for _ in range(2):  # the first may have been on its way already, without the last that failed
            _wait_for_reports(fleet)
        assert rollout.order("resume") == "running at 20 %"
        rollout.wait(phase="promoted", percent=100)
        rollout.arrive(100)
        assert all(met.keys() == {"v2"} for met in rollout.count(traffic, 10).values())
    assert traffic.met.keys() == {"200", "503"}
    assert traffic.met["503"] == failed
    told = [(20, "STARTED"), (20, "ERROR_RATE"), (20, "RESUMED"), (100, "STEP_PASSED"), (100, "COMPLETED")]
    assert rollout.events() == told


def test_prometheus_decides_for_all_envoys(fleet: Fleet) -> None:
    """Without a number nothing moves, whoever asks; with a good one it goes through, with a bad one it goes back."""
    answers: dict[str, Any] = {"p95(acme/models/asked/production/v1)": 0.2}
    with (
        prometheus(answers) as url,
        Rollout(fleet, "asked") as rollout,
        Traffic(fleet, "asked", "POST") as traffic,
    ):
        gate = {"times": 2, "prometheus": {"url": url, "query": "p95($cluster)"}}
        plan = {"canary": [20, 60, 100], "gates": {"latency": gate}, "onBreach": "revert"}
        rollout.declare(**plan, stepTime="1s")
        words = f"{url}/api/v1/query: the query gives 0 series, and must give one"
        _wait_while_time_passes(rollout, percent=20, reason="NO_DATA", words=words)
        rollout.arrive(20)
        answers["p95(acme/models/asked/production/v2)"] = 0.3
        rollout.wait(phase="promoted", percent=100)
        rollout.arrive(100)
        assert rollout.order("cancel") == "cancelled at 0 %"
        rollout.arrive(0)
        answers["p95(acme/models/asked/production/v2)"] = 0.5
        rollout.declare(**plan, stepTime="1h")
        assert rollout.order("resume") == "running at 0 %"
        words = "the new revision takes 0.5 s, more than 2 times the old one's 0.2 s"
        rollout.wait(phase="reverted", percent=0, reason="LATENCY", words=words)
        rollout.arrive(0)
        assert _is_all_old(rollout, traffic)
    assert traffic.met.keys() == {"200"}, traffic.met
    ended = [(100, "STEP_PASSED"), (100, "COMPLETED"), (0, "BY_COMMAND"), (0, "RESTARTED")]
    assert rollout.events() == [
        *((20, "STARTED"), (60, "STEP_PASSED"), *ended),
        *((20, "STARTED"), (0, "LATENCY")),
    ]
