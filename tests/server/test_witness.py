"""What a gate looks at is never older than a round: who hangs or answers nonsense has said nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Any

import pytest

from tests.e2e.manifest import Manifest
from tests.graph import world as w
from xds_server.rollout import Observation
from xds_server.server import witness
from xds_server.server.prometheus import Prometheus
from xds_server.server.witness import Subject, Witness


@pytest.fixture
def asking(monkeypatch: pytest.MonkeyPatch) -> Witness:
    monkeypatch.setattr(witness, "_PATIENCE", 0.05)
    monkeypatch.setattr(witness, "_SHORTEST", 0.01)
    monkeypatch.setattr(witness, "_LONGEST", 0.01)
    return _make({"canary": [20, 100]})


def _make(plan: Manifest, now: Callable[[], float] = monotonic, **said: Any) -> Witness:
    rollout = {"from": "v1", "to": "v2", "stepTime": "1s", **plan}
    revisions = [w.revision(name, w.backend("eu-west-3"), **said) for name in ("v1", "v2")]
    graph = w.build_graph(
        *w.FLEET, w.workspace(), w.model("llama", w.deployment(*revisions, rollout=rollout))
    )
    deployment = w.endpoint(graph).deployments[0]
    assert deployment.rollout is not None
    made = Witness(
        Subject("acme/models/llama", "production", deployment.rollout, deployment.revisions[1]),
        Prometheus(),
        "",
        now,
    )
    made.seen = Observation(new_latency=0.1)
    return made


async def _hang() -> Observation:
    await asyncio.sleep(60)
    raise AssertionError


async def _babble() -> Observation:
    raise RecursionError("maximum depth")


@pytest.mark.parametrize("look", [_hang, _babble])
async def test_what_is_not_answered_any_more_is_no_data(
    asking: Witness, monkeypatch: pytest.MonkeyPatch, look: object
) -> None:
    monkeypatch.setattr(asking, "_look", look)
    running = asyncio.create_task(asking.run())
    async with asyncio.timeout(10):
        while asking.seen.new_latency is not None:
            await asyncio.sleep(0.005)
    assert asking.seen.why
    assert not running.done()
    running.cancel()


_CHECK = {"interval": "5s", "timeout": "1s", "healthyThreshold": 2}
_NOTICE = 1 + 2 * (5 * 1.2 + 1) + 1


@pytest.mark.parametrize(
    ("said", "looks", "expected"),
    [
        ({}, [(0, None)], [True]),
        ({"healthCheck": _CHECK}, [(0, None), (8, None), (15.9, None), (_NOTICE, None)], [None] * 3 + [True]),
        ({"healthCheck": _CHECK}, [(0, None), (8, "away"), (_NOTICE, None)], [None, False, None]),
        (
            {"healthCheck": _CHECK},
            [(0, None), (8, None), (_NOTICE, None), (100, None)],
            [None, None, True, None],
        ),
    ],
    ids=["nobody checks", "long enough", "away meanwhile", "stopped meanwhile"],
)
async def test_health_counts_when_every_envoy_must_have_seen_it(
    monkeypatch: pytest.MonkeyPatch,
    said: dict[str, Any],
    looks: list[tuple[float, str | None]],
    expected: list[bool | None],
) -> None:
    """An Envoy that still holds the new revision for down refuses each request that is moved there."""
    left = [*looks]
    made = _make({"blueGreen": {}}, lambda: left[0][0], **said)

    async def probe(*_: object) -> str | None:
        return left[0][1]

    monkeypatch.setattr(witness, "probe", probe)
    found = []
    while left:
        found.append((await made._look()).healthy)
        left.pop(0)
    assert found == expected


async def test_what_answers_again_after_no_answer_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    made = _make({"blueGreen": {}}, lambda: now, healthCheck=_CHECK)

    async def probe(*_: object) -> None:
        return None

    monkeypatch.setattr(witness, "probe", probe)
    found = []
    for now in (0.0, 8.0, _NOTICE, 7.9 + _NOTICE, 8.0 + _NOTICE):
        if now == 8.0:
            made._miss("no answer within 5 s")
        found.append((await made._look()).healthy)
    assert found == [None, None, None, None, True]
