"""Rollouts through the real Envoy: its load reports decide, and no request is lost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.manifest import Manifest, backend, revision
from tests.e2e.moving import Moving, run_moving
from tests.e2e.world import PARIS, VIRGINIA
from tests.envoy_process import wait_until
from tests.server.prometheus_server import prometheus

pytestmark = pytest.mark.envoy

GATES = {"errorRate": {"above": 5}, "minRequests": 10}


@pytest.fixture(scope="module")
def moving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Moving]:
    with run_moving(tmp_path_factory.mktemp("moving")) as made:
        yield made


@pytest.fixture(autouse=True)
def _models(moving: Moving) -> None:
    """Both revisions serve, and no rollout is declared."""
    for label in ("v1", "v2"):
        if label not in moving.servers:
            moving.server(label)
        moving.servers[label].status = 200
        moving.servers[label].count = 0
    moving.write(revisions=revisions(moving, weights=(1, 0)))
    wait_until(lambda: not moving.serving.ask("/rollouts")["rollouts"], "no rollout is declared")


def revisions(moving: Moving, weights: tuple[int, int] | None = None) -> list[Manifest]:
    each = weights or (None, None)
    return [
        revision(label, backend(PARIS, moving.servers[label].address), weight=weight)
        for label, weight in zip(("v1", "v2"), each, strict=True)
    ]


def start(moving: Moving, **rollout: Any) -> None:
    plan = {"from": "v1", "to": "v2", "canary": [20, 100], "stepTime": "1s", "gates": GATES, **rollout}
    declared = {key: each for key, each in plan.items() if each is not None}
    moving.put(revisions=revisions(moving), rollout=declared)


def events(moving: Moving) -> list[tuple[int, str]]:
    """What the log says happened: share and reason, in order, but for what was waited for."""
    told = [
        (line["percent"], line["reason"]) for line in moving.serving.events() if line["event"] == "rollout"
    ]
    return [each for each in told if each[1] not in ("NO_DATA", "UNHEALTHY")]


def arrive(moving: Moving, percent: int) -> None:
    """Wait until the Envoy routes at that share."""
    wait_until(lambda: moving.routed("v2") == percent, f"the Envoy routes {percent} % to v2")


def test_a_canary_goes_through_to_the_end_and_no_request_fails(moving: Moving) -> None:
    before = len(events(moving))
    with moving.traffic() as traffic:
        start(moving, canary=[10, 50, 100])
        moving.wait("it is through", phase="promoted", percent=100)
        arrive(moving, 100)
        traffic.advance(2)  # what was on its way
        done = traffic.copy()
        wait_until(lambda: sum(traffic.copy().values()) > sum(done.values()) + 50, "more requests")
        assert traffic.shares(done).get("v1", 0.0) == 0.0
    assert traffic.failed == 0, (traffic.answers, traffic.broken)
    assert events(moving)[before:] == [
        (10, "STARTED"),
        (50, "STEP_PASSED"),
        (100, "STEP_PASSED"),
        (100, "COMPLETED"),
    ]
    metrics = httpx.get(f"http://{moving.serving.admin}/metrics", trust_env=False).text
    labels = 'environment="production",model="acme/models/llama"'
    assert f"fairlead_rollout_percent{{{labels}}} 100.0" in metrics
    assert f'fairlead_rollout_phase{{{labels},phase="promoted"}} 1.0' in metrics
    assert 'fairlead_rollout_events_total{reason="COMPLETED"}' in metrics


def test_a_breach_gives_everything_back_to_the_old_revision(moving: Moving) -> None:
    moving.servers["v2"].status = 500
    with moving.traffic() as traffic:
        start(moving, onBreach="revert")
        told = moving.wait("it is reverted", phase="reverted", percent=0, reason="ERROR_RATE")
        arrive(moving, 0)
        traffic.advance(2)  # what was on its way
        done = traffic.copy()
        wait_until(lambda: sum(traffic.copy().values()) > sum(done.values()) + 100, "more requests")
        assert traffic.shares(done).get("v2", 0.0) == 0.0
    assert told["words"].startswith("100.00% of the new revision's requests failed, 0.00%")
    assert events(moving)[-1] == (0, "ERROR_RATE")


def test_a_breach_may_pause_instead_and_somebody_decides(moving: Moving) -> None:
    moving.servers["v2"].status = 503
    with moving.traffic():
        start(moving)
        moving.wait("it is paused", phase="paused", percent=20, reason="ERROR_RATE")
        moving.servers["v2"].status = 200
        assert moving.order("resume").json()["reason"] == "RESUMED"
        moving.wait("it is through", phase="promoted", percent=100)


def test_no_data_is_a_pause_and_goes_on_by_itself(moving: Moving) -> None:
    start(moving)
    told = moving.wait("it waits", phase="running", percent=20, reason="NO_DATA")
    assert told["words"] == "0 of 10 requests to the new revision are reported"
    with moving.traffic():
        moving.wait("it is through", phase="promoted", percent=100)


def test_killed_in_the_middle_it_goes_on_where_it_stood(moving: Moving) -> None:
    with moving.traffic() as traffic:
        start(moving, canary=[20, 60, 100], stepTime="4s", gates=None)
        moving.wait("a step is passed", percent=60)
        arrive(moving, 60)
        moving.serving.kill()
        before = len(events(moving))
        done = traffic.copy()
        moving.serving.start()
        assert moving.rollout()["percent"] >= 60
        moving.wait("it is through", phase="promoted", percent=100)
        assert traffic.shares(done)["v2"] > 0.4, "more than in the first step"
    assert traffic.failed == 0, (traffic.answers, traffic.broken)
    assert events(moving)[before:] == [(100, "STEP_PASSED"), (100, "COMPLETED")]


def test_orders_are_followed(moving: Moving) -> None:
    start(moving, stepTime="1h")
    moving.wait("it has begun", percent=20)
    assert moving.order("freeze").json()["phase"] == "frozen"
    for order, phase, percent in (
        ("pause", "paused", 20),
        ("promote", "promoted", 100),
        ("cancel", "cancelled", 0),
        ("resume", "running", 0),
    ):
        told = moving.order(order).json()
        assert (told["phase"], told["percent"]) == (phase, percent)
    moving.wait("it has begun again", percent=20)
    code, told = moving.serving.command("rollout", "freeze", "acme/models/llama")
    assert (code, told.splitlines()[:2]) == (
        0,
        ["acme/models/llama in production: v1 → v2, canary 20, 100", "  frozen at 20 %"],
    )
    assert moving.serving.command("rollout", "status")[1].splitlines()[1] == "  frozen at 20 %"
    refused = moving.order("promote", {"origin": "https://elsewhere.test"})
    assert (refused.status_code, refused.json()) == (403, {"error": "not from a browser"})
    assert moving.order("explode").status_code == 404


def test_what_the_policy_says_counts_more_than_an_order(moving: Moving) -> None:
    start(moving, stepTime="1h", state="promoted")
    moving.wait("it is promoted", phase="promoted", percent=100, reason="BY_POLICY")
    refused = moving.order("cancel")
    assert refused.status_code == 409
    words = "the policy says `state: promoted`, which counts; change it there"
    assert refused.json()["error"] == words
    code, told = moving.serving.command("rollout", "cancel", "acme/models/llama")
    assert code == 1
    assert words in " ".join(told.split())
    start(moving, stepTime="1h", state="cancelled")
    moving.wait("it is cancelled", phase="cancelled", percent=0)
    start(moving, stepTime="1h")
    moving.wait("it begins again", phase="running", percent=20)
    start(moving, stepTime="1h", state="frozen")
    moving.wait("it is frozen", phase="frozen", percent=20)


def test_blue_green_waits_until_the_new_revision_is_healthy(moving: Moving) -> None:
    moving.servers["v2"].close()
    with moving.traffic() as traffic:
        start(moving, canary=None, blueGreen={}, gates=None)
        told = moving.wait("it waits", phase="running", percent=0, reason="UNHEALTHY")
        assert moving.servers["v2"].address in told["words"]
        moving.servers["v2"].open()
        moving.wait("it is through", phase="promoted", percent=100)
    assert traffic.failed == 0, (traffic.answers, traffic.broken)
    assert moving.servers["v2"].count > 0


def test_latency_comes_from_prometheus(moving: Moving) -> None:
    answers: dict[str, Any] = {"p95(acme/models/llama/production/v1)": 0.2}
    with prometheus(answers) as url:
        gates = {"latency": {"times": 2, "prometheus": {"url": url, "query": "p95($cluster)"}}}
        start(moving, gates=gates)
        told = moving.wait("it waits", percent=20, reason="NO_DATA")
        assert told["words"] == f"{url}/api/v1/query: the query gives 0 series, and must give one"
        answers["p95(acme/models/llama/production/v2)"] = 0.3
        moving.wait("a step is passed", percent=100)
        answers["p95(acme/models/llama/production/v2)"] = 0.5
        told = moving.wait("it is paused", phase="paused", reason="LATENCY")
    assert told["words"] == "the new revision takes 0.5 s, more than 2 times the old one's 0.2 s"


def test_where_models_come_on_demand_all_envoys_count_and_clusters_follow(tmp_path: Path) -> None:
    with run_moving(tmp_path, (PARIS, VIRGINIA), delivery="on-demand") as made:
        for label in ("v1", "v2"):
            made.server(label)
        with ExitStack() as running:
            made.write(revisions=revisions(made, weights=(1, 0)))
            traffics = [running.enter_context(made.traffic(region, 1)) for region in (PARIS, VIRGINIA)]
            wait_until(lambda: all(each.copy() for each in traffics), "both Envoys have the model")
            start(made, canary=[30, 100])
            made.wait("it is through", phase="promoted", percent=100)
            for region in (PARIS, VIRGINIA):
                wait_until(lambda region=region: made.routed("v2", region) == 100, "the Envoy has it")
        for traffic in traffics:
            assert traffic.failed == 0, (traffic.answers, traffic.broken)
        told = made.serving.ask("/loads")["nodes"]
        assert {each["region"] for each in told if each["loads"]} == {PARIS, VIRGINIA}


def test_a_step_reaches_the_routes_of_that_model_only(moving: Moving) -> None:
    start(moving, stepTime="1h")
    arrive(moving, 20)
    moving.rest()
    [envoy] = moving.envoys.values()
    before = envoy.stats(
        "cluster_manager.cluster_(added|modified|removed)|lds.update_success|cds.update_success"
    )
    versions = moving.versions()
    moving.order("promote")
    arrive(moving, 100)
    moving.rest()
    after = envoy.stats(
        "cluster_manager.cluster_(added|modified|removed)|lds.update_success|cds.update_success"
    )
    assert before == after
    changed = {key for key, version in moving.versions().items() if versions.get(key) != version}
    assert changed == {(*moving.envoys, "RouteConfiguration", "acme/models/llama")}
