"""`fairlead rollout` without a control plane to talk to; with one, see the tests of rollouts through Envoy."""

from __future__ import annotations

from typing import Any

import pytest

from xds_server.cli.rollout import describe

from .conftest import Run, free_port

TOLD: dict[str, Any] = {
    "path": "acme/models/llama",
    "environment": "production",
    "plan": "canary 5, 100",
    "policy": "running",
    "from": "v1",
    "to": "v2",
    "phase": "running",
    "percent": 5,
    "elapsed": 12.4,
    "stepSeconds": 300.0,
    "reason": "NO_DATA",
    "words": "3 of 50 requests to the new revision are reported",
    "old": {"succeeded": 60, "failed": 1},
    "new": {"succeeded": 3, "failed": 0},
}


@pytest.mark.parametrize("arguments", [("status",), ("pause", "acme/models/llama")])
def test_without_a_control_plane_it_says_so(inside: Run, arguments: tuple[str, ...]) -> None:
    done = inside("rollout", *arguments, "--admin", f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "--admin" in done.stderr


def test_a_rollout_in_a_few_lines() -> None:
    assert describe(TOLD).splitlines() == [
        "acme/models/llama in production: v1 → v2, canary 5, 100",
        "  running at 5 %, 12 of 300 s in this step",
        "  NO_DATA: 3 of 50 requests to the new revision are reported",
        "  v1: 61 requests in this step, 1 failed",
        "  v2: 3 requests in this step, 0 failed",
    ]


def test_a_wish_of_the_policy_is_told() -> None:
    told = {**TOLD, "phase": "paused", "stepSeconds": None, "words": "", "policy": "paused"}
    assert describe(told).splitlines()[-1] == "  the policy says paused, and counts more than orders"
