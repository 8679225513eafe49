"""Watching: what the kernel says about a folder, passed on from a thread to the event loop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from errno import ENOENT
from pathlib import Path

import structlog
from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

STEP_MS = 2
"""How often watchfiles looks whether the kernel has spoken. It passes a change on at the second look. At 1 ms a change
is known 0.5 ms earlier, and an idle control plane takes 3 % of a core instead of 1 %."""

RARE_STEP_MS = 25
"""The same for what seldom happens."""

_TIMEOUT_MS = 0

PULSE = 1.0
"""Seconds between two looks whether what is watched is still what is found there: the kernel says nothing when
something is mounted over it, or when a folder further up is replaced."""

STOP = 5.0
"""Seconds that a watch is given to end."""

_log = structlog.get_logger("fairlead.sources")

_Report = Callable[[set[str]], None]


@dataclass(frozen=True, slots=True)
class _Wish:
    folder: Path
    step_ms: int
    recursive: bool
    report: _Report


class Watch:
    """A folder watched until `stop`: `report` is called on the event loop with the paths that changed.

    The paths are relative to the folder; the empty one is the folder itself, deleted perhaps. watchfiles' own
    `awatch` waits at least 50 ms, and begins to watch at an unknown moment; this watches from when it is made.
    Raises FileNotFoundError when there is nothing to watch, OSError when the kernel refuses.
    """

    def __init__(self, wish: _Wish, loop: asyncio.AbstractEventLoop) -> None:
        folder = str(wish.folder)
        if not wish.folder.is_dir():
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), folder)
        self._wish = wish
        self._loop = loop
        # The kernel's names begin with the path watched; on systems other than Linux, with where it leads.
        self._bases = (folder, os.path.realpath(folder))
        self._stopped = threading.Event()
        self._notify = RustNotify([folder], False, False, 0, wish.recursive, True)
        self._thread = threading.Thread(target=self._run, name=f"watch {folder}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Begin to stop."""
        self._stopped.set()

    def stop(self) -> None:
        """Stop watching, and wait for the thread to end: a few milliseconds. It never holds up its caller for
        longer than `STOP`: what is stopped is no longer listened to, and the thread ends with the process.
        """
        self.end()
        self._thread.join(STOP)
        if self._thread.is_alive():
            _log.warning("a watch does not end; left behind", folder=str(self._wish.folder))

    def _run(self) -> None:
        with self._notify as notify:
            while not self._stopped.is_set():
                changes = notify.watch(0, self._wish.step_ms, _TIMEOUT_MS, self._stopped)
                if isinstance(changes, set) and not self._stopped.is_set():
                    paths = {self._within(path) for _, path in changes}
                    try:
                        self._loop.call_soon_threadsafe(self._wish.report, paths)
                    except RuntimeError:  # the loop has been closed without `stop`: nobody is listening
                        return

    def _within(self, path: str) -> str:
        for base in self._bases:
            start = os.path.join(base, "")
            if path.startswith(start):
                return path[len(start) :]
        return ""


class Watches:
    """Everything that has to be watched for one path: what is in it, and the path itself being replaced.

    `report` is called with the paths that changed, relative to the folder (a single file's is the one that it
    is in), or with None when the folder itself was replaced: a link to a release pointed at the next one, a
    volume mounted, a folder further up made anew. By then the new one is watched.
    """

    def __init__(self, path: Path, report: Callable[[set[str] | None], None]) -> None:
        # Absolute from the start, so that what is watched does not depend on the current folder.
        self._root = path.absolute()
        self._report = report
        self._loop = asyncio.get_running_loop()
        if path.is_dir():
            self._wishes = [
                _Wish(self._root.parent, RARE_STEP_MS, False, self._changed_beside),
                _Wish(self._root, STEP_MS, True, self._changed_inside),
            ]
        else:
            self._wishes = [_Wish(self._root.parent, STEP_MS, False, self._changed_inside)]
        self._changing = threading.Lock()
        self._stopped = False
        self._watches: list[Watch] = []
        self._seen = self._look()
        try:
            for wish in self._wishes:
                self._watches.append(Watch(wish, self._loop))
        except BaseException:
            self._end()
            raise
        self._doubted = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep())

    def doubt(self) -> None:
        """Set the watches up anew, soon: something has changed that they did not tell."""
        self._doubted.set()

    def stop(self) -> None:
        """Stop watching."""
        self._keeper.cancel()
        with self._changing:
            self._stopped = True
            self._end()

    def _changed_inside(self, paths: set[str]) -> None:
        if "" in paths:
            self.doubt()
        if within := paths - {""}:
            self._report(within)

    def _changed_beside(self, paths: set[str]) -> None:
        if not paths.isdisjoint({"", self._root.name}):
            self.doubt()

    async def _keep(self) -> None:
        """Renew the watches whenever they may be of something that is no longer there."""
        while True:
            try:
                await asyncio.wait_for(self._doubted.wait(), PULSE)
            except TimeoutError:
                if await asyncio.to_thread(self._look) == self._seen:
                    continue
            self._doubted.clear()
            await asyncio.to_thread(self._renew)
            self._report(None)

    def _look(self) -> list[tuple[int, int] | None]:
        """What is found now where we watch. Not proof enough alone: a new folder may get an old one's number."""
        return [_identity(wish.folder) for wish in self._wishes]

    def _renew(self) -> None:
        with self._changing:
            self._end()
            if self._stopped:
                return
            # Looked at first: what is replaced before it is watched differs at the next pulse.
            self._seen = self._look()
            for wish in self._wishes:
                try:
                    self._watches.append(Watch(wish, self._loop))
                except FileNotFoundError:
                    continue  # it is away; the pulse sees it come back
                except (OSError, WatchfilesRustInternalError) as error:
                    # The sweep of the source finds changes all the same, and has this tried again.
                    _log.warning("folder not watched", folder=str(wish.folder), error=str(error))

    def _end(self) -> None:
        for watch in self._watches:
            watch.end()
        for watch in self._watches:
            watch.stop()
        self._watches.clear()


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        found = os.stat(folder)
    except OSError:
        return None
    return found.st_dev, found.st_ino
