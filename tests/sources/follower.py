"""Whoever follows a source: reads whenever it says so, as the server does."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from xds_server.sources import FolderSource

PATIENCE = 20.0


class Follower:
    """Reads a source whenever it says so, as the server does."""

    def __init__(self, source: FolderSource) -> None:
        self.source = source
        self.files: dict[str, str] = {}
        self.names: dict[str, str] = {}
        self.reads = 0
        self.failures = 0
        self._changed = asyncio.Condition()

    async def follow(self) -> None:
        changes = self.source.changes()
        try:
            await self._read()
            async for _ in changes:
                await self._read()
        finally:
            await changes.aclose()  # type: ignore[attr-defined]

    async def _read(self) -> None:
        try:
            text = await asyncio.to_thread(self.source.read)
        except OSError:
            text = None
            self.failures += 1
        async with self._changed:
            self.reads += 1
            if text is not None:
                self.names = dict(text.files)
                self.files = {os.path.basename(name): content for name, content in text.files.items()}
            self._changed.notify_all()

    async def sees(self, **files: str) -> None:
        wanted = {f"{name}.yaml": content for name, content in files.items()}
        await self.waits(lambda: self.files == wanted)

    async def sees_named(self, wanted: dict[str, str]) -> None:
        await self.waits(lambda: self.names == wanted)

    async def fails(self) -> None:
        await self.waits(lambda: self.failures > 0)

    async def waits(self, holds: Callable[[], bool]) -> None:
        async with self._changed:
            await asyncio.wait_for(self._changed.wait_for(holds), PATIENCE)


@asynccontextmanager
async def following(path: str | Path) -> AsyncIterator[Follower]:
    follower = Follower(FolderSource(path))
    task = asyncio.create_task(follower.follow())
    watching = asyncio.create_task(until(lambda: follower.source.watched))
    await asyncio.wait({task, watching}, return_when=asyncio.FIRST_COMPLETED)
    watching.cancel()
    try:
        yield follower
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def until(holds: Callable[[], bool]) -> None:
    while not holds():
        await asyncio.sleep(0)
