"""The first signal at once, the others merged. Time is the event loop's, and is moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from xds_server.sources.burst import LONGEST, QUIET, Burst


class Clock:
    """A burst under a clock of its own: `at` gives signals their times, `out` says when items came out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        self.out: list[float] = []
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)
        monkeypatch.setattr("xds_server.sources.burst.asyncio.sleep", self._sleep)

    async def _sleep(self, seconds: float) -> None:
        waking: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, waking))
        await waking

    async def settle(self) -> None:
        for _ in range(10):
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            asyncio.get_running_loop().call_soon(turn.set_result, None)
            await turn

    async def until(self, moment: float) -> None:
        while due := [each for each in self._sleepers if each[0] <= moment + 1e-9]:
            earliest = min(due, key=lambda each: each[0])
            self._sleepers.remove(earliest)
            self.now = max(self.now, earliest[0])
            earliest[1].set_result(None)
            await self.settle()
        self.now = moment

    async def collect(self, items: AsyncIterator[None]) -> None:
        async for _ in items:
            self.out.append(round(self.now - 100, 3))


@pytest.mark.parametrize(
    ("signals", "out"),
    [
        ([0], [0]),
        ([0, 0.005], [0, 0.025]),
        ([0, 0.005, 0.010, 0.015], [0, 0.035]),
        ([0, 0.030, 0.060], [0, 0.030, 0.060]),
        ([0, 0.010, 0.100], [0, 0.030, 0.100]),
        ([each / 100 for each in range(50)], [0, 0.21, 0.41, 0.51]),
    ],
)
async def test_when_signals_come_out(
    signals: list[float], out: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    burst = Burst()
    reader = asyncio.create_task(clock.collect(burst.merged()))
    await clock.settle()
    for moment in signals:
        await clock.until(100 + moment)
        burst.signal()
        await clock.settle()
    await clock.until(101)
    reader.cancel()
    assert clock.out == out


async def test_what_is_not_urgent_waits_until_it_is_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    burst = Burst()
    reader = asyncio.create_task(clock.collect(burst.merged()))
    await clock.settle()
    burst.signal(urgent=False)
    await clock.settle()
    await clock.until(100.010)
    burst.signal()
    await clock.until(101)
    reader.cancel()
    assert clock.out == [0.030]


async def test_a_signal_while_the_reader_works_is_not_lost() -> None:
    burst = Burst(quiet=0.001, longest=0.01)
    items = burst.merged()
    burst.signal()
    await anext(items)
    burst.signal()
    burst.signal()
    await asyncio.wait_for(anext(items), 5)
    waiting = asyncio.ensure_future(anext(items))
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    waiting.cancel()


def test_the_numbers() -> None:
    assert (QUIET, LONGEST) == (0.020, 0.200)
