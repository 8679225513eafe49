"""What a gate looks at is never older than a round: who hangs or answers nonsense has said nothing."""

from __future__ import annotations

import asyncio

import pytest

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
    rollout = {"from": "v1", "to": "v2", "canary": [20, 100], "stepTime": "1s"}
    revisions = [w.revision(name, w.backend("eu-west-3")) for name in ("v1", "v2")]
    graph = w.build_graph(
        *w.FLEET, w.workspace(), w.model("llama", w.deployment(*revisions, rollout=rollout))
    )
    deployment = w.endpoint(graph).deployments[0]
    assert deployment.rollout is not None
    made = Witness(
        Subject("acme/models/llama", "production", deployment.rollout, deployment.revisions[1]),
        Prometheus(),
        "",
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
