"""The control plane as `fairlead serve` runs it, in a thread of the test's own process: a folder in, xDS out."""

from __future__ import annotations

import asyncio
import faulthandler
import sys
import threading
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from tests.e2e.settled import is_settled
from tests.envoy_process import EnvoyProcess, free_port, wait_until
from xds_server.server import ControlPlane
from xds_server.server.pipeline import Pipeline
from xds_server.server.update import Update
from xds_server.sources import FolderSource

Result = TypeVar("Result")
GRACE = 0.5
PATIENCE = 30


class _Noting(Pipeline):
    """The pipeline, whose newest update can be looked at."""

    newest: Update

    def refresh(self) -> Update:
        self.newest = super().refresh()
        return self.newest


class ControlRoom:
    """Watches a policy folder and serves it on a port of its own. It may be started again after `stop`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def newest(self) -> Update:
        """What came of the folder when it was last read."""
        return self._pipeline.newest

    @property
    def generation(self) -> int | None:
        """Of what is served; `None` before there is anything."""
        return self._plane.readiness.generation

    def start(self) -> None:
        """Start, and wait until something is served."""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="control plane", daemon=True)
        self._thread.start()
        self._pipeline = _Noting(FolderSource(self.folder))
        self._plane, self._running = self._call(self._begin())
        try:
            wait_until(self._ready, "the control plane has something to serve")
        except BaseException:
            self._show_tasks()
            self.stop()
            raise

    async def _begin(self) -> tuple[ControlPlane, asyncio.Task[None]]:
        plane = ControlPlane(xds_address=f"127.0.0.1:{self.port}", admin_address="127.0.0.1:0")
        await plane.start()
        return plane, asyncio.create_task(self._pipeline.run(plane))

    def _ready(self) -> bool:
        if self._running.done():
            self._call(asyncio.wait_for(self._running, 1))
        return self._plane.readiness.ready

    def stop(self) -> None:
        """Stop, as at the end of the process: nothing is kept."""
        self._call(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._running.cancel()
        with suppress(asyncio.CancelledError):
            await self._running
        await self._plane.stop(GRACE)

    def current(self) -> bool:
        """Whether what is served is what the folder holds now, all of it."""
        newest, text = self.newest, FolderSource(self.folder).read()
        read = newest.text
        if read is None or newest.catalogue.generation != self.generation:
            return False
        return dict(read.files) == dict(text.files) and read.attachments == text.attachments

    def settled(self, envoys: Mapping[str, EnvoyProcess]) -> bool:
        """As `is_settled`."""
        return is_settled(self._call(self._look()), envoys=envoys)

    async def _look(self) -> dict[str, Any]:
        return {"generation": self._plane.readiness.generation, "nodes": self._plane.nodes.all()}

    def _call(self, work: Coroutine[Any, Any, Result]) -> Result:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result(PATIENCE)
        except TimeoutError:
            self._show_tasks()
            raise

    def _show_tasks(self) -> None:
        """Say what the control plane is waiting for."""
        for task in asyncio.all_tasks(self._loop):
            task.print_stack()
        faulthandler.dump_traceback(sys.__stderr__)
