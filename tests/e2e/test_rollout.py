"""Rollouts through the real Envoy: its load reports decide, and no request is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.manifest import Manifest, backend, revision
from tests.e2e.moving import Moving, run_moving
from tests.e2e.world import PARIS
from tests.envoy_process import wait_until

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
    plan = {"from": "v1", "to": "v2", "canary": [5, 25, 50, 100], "stepTime": "1s", "gates": GATES, **rollout}
    moving.put(
        revisions=revisions(moving), rollout={key: each for key, each in plan.items() if each is not None}
    )


def events(moving: Moving) -> list[tuple[int, str]]:
    """What the log says happened: share and reason, in order."""
    import json

    lines = [json.loads(line) for line in moving.serving.log.splitlines() if '"rollout"' in line]
    return [(line["percent"], line["reason"]) for line in lines if line["event"] == "rollout"]


def test_a_canary_goes_through_to_the_end_and_no_request_fails(moving: Moving) -> None:
    before = len(events(moving))
    with moving.traffic() as traffic:
        start(moving)
        moving.wait("it is through", phase="promoted", percent=100)
        wait_until(lambda: moving.serving.settled(*moving.envoys), "the Envoy has it")
        done = traffic.copy()
        wait_until(lambda: sum(traffic.copy().values()) > sum(done.values()) + 50, "more requests")
        assert traffic.shares(done) == {"v2": 1.0, "v1": 0.0}
    assert traffic.failed == 0, (traffic.answers, traffic.broken)
    passed = [each for each in events(moving)[before:] if each[1] not in ("STEP_RUNNING", "NO_DATA")]
    assert passed == [
        (5, "STARTED"),
        (25, "STEP_PASSED"),
        (50, "STEP_PASSED"),
        (100, "STEP_PASSED"),
        (100, "COMPLETED"),
    ]
