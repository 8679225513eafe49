"""What is written for the next process, and what becomes of it on a disk that refuses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.graph import world as w
from tests.server.test_registrations import graph
from xds_server.archive import Journal
from xds_server.graph import Registered
from xds_server.registration import Slot
from xds_server.server import ControlPlane, movement
from xds_server.server.memory import Memory, join_deployment, split_deployment
from xds_server.server.readiness import Readiness

PATIENCE = 20.0
SLOT = Slot("acme/models/llama", "production", "v1")


class Disk:
    """A memory of numbers, on a disk that may be full."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now, self.full, self.attempts = 1000.0, False, 0
        self.readiness = Readiness()
        self.journal = Journal(folder / "live" / "numbers.json")
        self.memory = Memory("numbers", "count anew", self.readiness, self.journal, lambda: self.now)
        write = Journal.write

        def attempt(journal: Journal, entries: Any) -> None:
            self.attempts += 1
            if self.full:
                raise OSError(28, "No space left on device")
            write(journal, entries)

        monkeypatch.setattr(Journal, "write", attempt)

    async def keep(self, **entries: int) -> None:
        await self.memory.keep(lambda: entries)

    @property
    def problems(self) -> dict[str, str]:
        told: dict[str, str] = self.readiness.describe()["problems"]
        return told


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(tmp_path, monkeypatch)


async def test_what_was_written_is_recalled(disk: Disk) -> None:
    assert disk.memory.recall() == {}
    await disk.keep(a=1)
    await disk.keep(b=2)
    assert disk.memory.recall() == {"b": 2}
    assert (disk.memory.refused, disk.memory.due) == (False, False)


async def test_what_cannot_be_used_is_nothing(disk: Disk) -> None:
    await disk.keep(a=1)
    disk.journal.path.write_text("{}")
    assert disk.memory.recall() == {}


async def test_without_a_journal_nothing_is_kept() -> None:
    memory = Memory("numbers", "count anew", Readiness())
    await memory.keep(lambda: {"a": 1})
    assert (memory.recall(), memory.due) == ({}, False)


async def test_what_is_refused_is_due_ever_more_rarely_until_it_is_written(disk: Disk) -> None:
    disk.full = True
    pauses = []
    for _ in range(9):
        await disk.keep(a=1)
        assert disk.memory.refused
        pause = 0
        while not disk.memory.due:
            disk.now, pause = disk.now + 1, pause + 1
        pauses.append(pause)
    assert pauses == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert disk.problems == {
        "numbers": f"{disk.journal.path} cannot be written: No space left on device; a restart would count anew"
    }
    disk.full = False
    await disk.keep(a=2)
    assert (disk.problems, disk.memory.refused, disk.memory.due) == ({}, False, False)
    assert disk.memory.recall() == {"a": 2}


async def test_a_fault_of_what_is_to_be_written_ends_nothing(disk: Disk) -> None:
    with capture_logs() as logs:
        await disk.memory.keep(lambda: {"a": object()})
    assert [each["event"] for each in logs] == ["what moves cannot be written down"]
    assert disk.memory.refused
    assert "TypeError" in disk.problems["numbers"]
    await disk.keep(a=1)
    assert (disk.problems, disk.memory.recall()) == ({}, {"a": 1})


def test_a_deployment_has_one_name() -> None:
    assert split_deployment(join_deployment("acme/models/llama", "production")) == SLOT[:2]


async def test_what_was_refused_is_written_though_nothing_stirs_any_more(
    disk: Disk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(movement, "_EVERY", 0.01)
    async with ControlPlane(xds_address="127.0.0.1:0", admin_address="127.0.0.1:0") as plane:
        moving = movement.Movement(plane, w.ROOTS, lambda name: Journal(tmp_path / f"{name}.json"))
        moving.follow(graph())
        published = asyncio.Event()

        async def publish() -> None:
            published.set()

        running = asyncio.create_task(moving.run(publish))
        disk.full = True
        moving.registrations.register(SLOT, Registered("eu-west-3", None, "10.0.0.1:80", 1), None)
        await asyncio.wait_for(published.wait(), PATIENCE)
        assert plane.readiness.describe()["problems"].keys() == {"registrations", "overflows"}
        disk.full = False
        async with asyncio.timeout(PATIENCE):
            while plane.readiness.describe()["problems"]:
                await asyncio.sleep(0.05)
        running.cancel()
        await asyncio.wait({running})
    kept = json.loads((tmp_path / "registrations.json").read_text())["entries"]
    assert [each["authority"] for each in kept[str(SLOT)]] == ["10.0.0.1:80"]
