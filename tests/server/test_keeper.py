"""The keeper: what the disk refuses, and what else goes wrong, is told and tried again."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from xds_server.graph import Built, Graph
from xds_server.server.keeper import Keeper
from xds_server.server.readiness import Readiness
from xds_server.shards import EMPTY
from xds_server.sources import SourceText

BUILT = Built(Graph(), (), frozenset(), fleet_kept=False, grounds={})


class Archive:
    """Fails as it is told to, once each."""

    path = Path("state")

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)

    def keep(self, *_: Any) -> int:
        if self.faults:
            raise self.faults.pop(0)
        return 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (OSError(28, "No space left on device", "state/x"), "state/x: No space left on device"),
        (ValueError("odd"), "odd"),
    ],
)
async def test_a_failure_is_told_and_the_next_attempt_mends_it(fault: Exception, words: str) -> None:
    readiness = Readiness()
    keeper = Keeper(Archive(fault), readiness)  # type: ignore[arg-type]
    keeper.note(BUILT)
    assert not await keeper.write()
    assert words in readiness.describe()["problems"]["state"]
    assert await keeper.write()
    assert readiness.describe()["problems"] == {}


async def test_what_moves_meanwhile_takes_no_image_away() -> None:
    """A move compiles the same once more, and says nothing of the texts."""
    images: list[Any] = []

    class Imaging(Archive):
        def keep_image(self, built: Built, *_: Any) -> bool:
            images.append(built)
            return True

    keeper = Keeper(Imaging(), Readiness())  # type: ignore[arg-type]
    keeper.note(BUILT, SourceText(EMPTY, {}, {}))
    keeper.note(BUILT)
    assert await keeper.write()
    assert images == [BUILT]
    keeper.note(replace(BUILT, diagnostics=()))
    assert await keeper.write()
    assert images == [BUILT]


async def test_what_takes_long_to_write_is_not_written_all_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that only sleeping moves, and the disk, which takes three seconds each time."""
    now, written, loop = 0.0, [0.0], asyncio.get_running_loop()

    class SlowArchive(Archive):
        def keep(self, *_: Any) -> int:
            nonlocal now
            now += 3.0
            written.append(now)
            loop.call_soon_threadsafe(keeper.note, BUILT)
            return 1

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds
        await asyncio.sleep(0)
        if len(written) > 4:
            raise asyncio.CancelledError

    # Its own only: other tests' control planes sleep, too.
    its = SimpleNamespace(sleep=sleep, Event=asyncio.Event, to_thread=asyncio.to_thread)
    monkeypatch.setattr("xds_server.server.keeper.asyncio", its)
    monkeypatch.setattr("xds_server.server.keeper.monotonic", lambda: now)
    keeper = Keeper(SlowArchive(), Readiness(), pause=2.0)  # type: ignore[arg-type]
    keeper.note(BUILT)
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(keeper.run(), 20)
    assert [later - earlier for earlier, later in itertools.pairwise(written)] == [
        2 + 3,
        60 + 3,
        60 + 3,
        60 + 3,
    ]
