"""Work that is done also if whoever waits for it is cancelled."""

from __future__ import annotations

import asyncio

import pytest

from xds_server.server.completion import complete


async def test_what_is_begun_is_done_before_the_cancellation_goes_on() -> None:
    begun, goes_on, done = asyncio.Event(), asyncio.Event(), []

    async def work() -> None:
        begun.set()
        await goes_on.wait()
        done.append(1)

    waiting = asyncio.create_task(complete(work()))
    await begun.wait()
    waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert done == [1]


async def test_who_does_not_end_is_left_at_the_second_cancellation() -> None:
    waiting = asyncio.create_task(complete(asyncio.sleep(3600)))
    for _ in range(2):
        await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_a_failure_is_passed_on() -> None:
    async def fail() -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        await complete(fail())
