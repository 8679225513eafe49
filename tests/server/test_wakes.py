"""Wake hooks: who is told, how often, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from time import monotonic
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.graph import world as w
from xds_server.graph import Facts, Graph, Overlay, Registered, WakeHook
from xds_server.server import wakes
from xds_server.server.metrics import Metrics
from xds_server.server.waits import Want
from xds_server.server.wake_hook import WakeError
from xds_server.server.wakes import Wakes

LINGER = 1000.0
PATIENCE = 20.0
PATH = "acme/models/llama"
V1 = Want(PATH, "production", ("v1",))
BOTH = Want(PATH, "production", ("v1", "v2"))


def graph(every: str = "1h", url: str = "https://autoscaler.test/wake", **more: Any) -> Graph:
    wake = {"url": url, "every": every}
    revisions = [{"name": name, "weight": 50, "registration": {"ttl": "30s"}} for name in ("v1", "v2")]
    deployment = w.deployment(*revisions, scaleFromZero={"wake": wake}, **more)
    return w.build_graph(*w.FLEET, w.workspace(), w.model("llama", deployment), w.model("mistral"))


def awake(found: Graph, *revisions: str, weight: int = 1) -> Graph:
    those = (Registered("eu-west-3", None, "10.0.0.1:80", weight),)
    facts = Facts(registered=tuple(("production", each, those) for each in revisions))
    return Overlay().lay(found, {PATH: facts})


class Told:
    """Wakes with a hook that may fail."""

    def __init__(self) -> None:
        self.bodies: list[Mapping[str, str]] = []
        self.url = "https://autoscaler.test/wake"
        self.tries = 0
        self.fails: Exception | None = None
        self.skipped = 0.0
        """Seconds that this clock is ahead: time goes by when the test says so, not when the machine pauses."""
        self.metrics = Metrics()
        self.wakes = Wakes(self.metrics, "", lambda: monotonic() + self.skipped, self._tell)

    async def _tell(self, hook: WakeHook, body: Mapping[str, str]) -> None:
        self.tries += 1
        if self.fails is not None or hook.url != self.url:
            raise self.fails or WakeError("nobody is there")
        self.bodies.append(body)

    @property
    def revisions(self) -> list[str]:
        return sorted(each["revision"] for each in self.bodies)

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"fairlead_{name}", labels)


@pytest.fixture
async def told(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Told]:
    monkeypatch.setattr(wakes, "FIRST_PAUSE", 0.01)
    monkeypatch.setattr(wakes, "LONGEST_PAUSE", 0.02)
    monkeypatch.setattr(wakes, "LINGER", LINGER)
    made = Told()
    yield made
    await made.wakes.close()


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.002)


async def test_all_that_wait_for_a_revision_are_one_wake(told: Told) -> None:
    told.wakes.follow(graph())
    for _ in range(50):
        told.wakes.wait("eu-west-3", V1)
        told.wakes.wait("us-east-1", V1)
        await asyncio.sleep(0)
    await until(lambda: told.bodies)
    assert [dict(each) for each in told.bodies] == [
        {
            "path": PATH,
            "environment": "production",
            "revision": "v1",
            "region": "eu-west-3",
            "reason": "no-backend",
        }
    ]
    assert told.value("revisions_asleep") == 2
    assert told.value("revisions_waited_for") == 1
    assert told.value("wakes_total", outcome="told") == 1
    first, second = told.wakes.describe()
    assert (first["revision"], first["waiting"] is not None) == ("v1", True)
    assert 0 <= first["told"] < PATIENCE
    assert (second["revision"], second["waiting"], second["told"]) == ("v2", None, None)


async def test_of_several_revisions_those_without_a_backend_are_woken(told: Told) -> None:
    told.wakes.follow(awake(graph(), "v1"))
    told.wakes.wait("eu-west-3", BOTH)
    await until(lambda: told.bodies)
    assert told.revisions == ["v2"]
    # Out of use is no backend.
    told.wakes.follow(awake(graph(), "v1", weight=0))
    told.wakes.wait("eu-west-3", BOTH)
    await until(lambda: len(told.bodies) == 2)
    assert told.revisions == ["v1", "v2"]


async def test_what_nobody_scales_is_nobodys_business(told: Told) -> None:
    told.wakes.follow(graph())
    for want in (
        Want("acme/models/mistral", "production", ("v1",)),
        Want(PATH, "development", ("v1",)),
        Want(PATH, "production", ("v3", "")),
        Want("", "", ()),
    ):
        told.wakes.wait("eu-west-3", want)
    await asyncio.sleep(0.02)
    assert told.tries == 0
    assert told.value("revisions_waited_for") == 0


async def test_as_long_as_somebody_waits_it_is_told_again(told: Told) -> None:
    told.wakes.follow(graph(every="10m"))
    told.wakes.wait("eu-west-3", V1)
    await until(lambda: told.bodies)
    told.skipped += 600
    await until(lambda: len(told.bodies) == 2)
    told.skipped += LINGER
    await until(lambda: told.value("revisions_waited_for") == 0)
    await asyncio.sleep(0.05)
    assert len(told.bodies) == 2, "nobody waits any more"


async def test_a_pause_holds_for_the_next_who_waits_until_there_was_a_backend(told: Told) -> None:
    told.wakes.follow(graph())
    told.wakes.wait("eu-west-3", V1)
    await until(lambda: told.bodies)
    for _ in range(2):
        told.skipped += LINGER
        await until(lambda: told.value("revisions_waited_for") == 0)
        told.wakes.wait("eu-west-3", V1)
        await asyncio.sleep(0.05)
    assert len(told.bodies) == 1, "`every` is an hour"
    told.wakes.follow(awake(graph(), "v1"))
    told.wakes.follow(graph())
    told.wakes.wait("eu-west-3", V1)
    await until(lambda: len(told.bodies) == 2)


@pytest.mark.parametrize("fault", [WakeError("no"), RuntimeError("a bug")])
async def test_what_fails_is_tried_again_and_counted(told: Told, fault: Exception) -> None:
    told.fails = fault
    told.wakes.follow(graph())
    with capture_logs() as logged:
        told.wakes.wait("eu-west-3", V1)
        await until(lambda: (told.value("wakes_total", outcome="failed") or 0) >= 4)
        told.fails = None
        await until(lambda: told.bodies)
    assert {each["revision"] for each in logged} == {f"{PATH}/production/v1"}
    assert sum(each["log_level"] in ("warning", "error") for each in logged) >= 4
    tries = told.tries
    await asyncio.sleep(0.05)
    assert told.tries == tries


async def test_a_hook_that_is_mended_is_told_while_requests_wait(told: Told) -> None:
    told.wakes.follow(graph(url="https://autoscaler.test/wkae"))
    told.wakes.wait("eu-west-3", V1)
    await until(lambda: told.tries)
    told.wakes.follow(graph())
    await until(lambda: told.bodies)
    assert told.value("revisions_waited_for") == 1, "it is one and the same wait"


async def test_who_has_a_backend_is_told_of_no_more(told: Told) -> None:
    told.fails = WakeError("no")
    told.wakes.follow(graph())
    told.wakes.wait("eu-west-3", V1)
    await until(lambda: told.tries)
    told.wakes.follow(awake(graph(), "v1", "v2"))
    assert told.wakes.describe() == []
    assert told.value("revisions_waited_for") == 0
    tries = told.tries
    await asyncio.sleep(0.05)
    assert told.tries == tries


async def test_a_model_that_goes_takes_its_wait_along(told: Told) -> None:
    told.fails = WakeError("no")
    told.wakes.follow(graph())
    told.wakes.wait("eu-west-3", V1)
    await until(lambda: told.tries)
    told.wakes.follow(w.build_graph(*w.FLEET, w.workspace(), w.model("mistral")))
    assert told.value("revisions_asleep") == 0
    tries = told.tries
    await asyncio.sleep(0.05)
    assert told.tries == tries


async def test_of_one_hook_few_calls_are_made_at_once(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wakes, "MOST_AT_ONCE", 1)
    calling, most = 0, 0

    async def tell(hook: WakeHook, body: Mapping[str, str]) -> None:
        nonlocal calling, most
        calling += 1
        most = max(most, calling)
        await asyncio.sleep(0.01)
        calling -= 1
        told.bodies.append(body)

    monkeypatch.setattr(told.wakes, "_tell", tell)
    told.wakes.follow(graph())
    told.wakes.wait("eu-west-3", BOTH)
    await until(lambda: told.revisions == ["v1", "v2"])
    assert most == 1
