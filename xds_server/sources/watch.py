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

from xds_server.sources.notices import listen

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
    recursive: bool
    report: _Report
    written: bool = True
    """Whether what is in its files matters, and not only their names."""


class Watch:
    """A folder watched until `stop`: `report` is called on the event loop with the paths that changed.

    The paths are relative to the folder; the empty one is the folder itself, deleted perhaps. It is watched from when
    this is made. Raises FileNotFoundError when there is nothing to watch, OSError when the kernel refuses.
    """

    def __init__(self, wish: _Wish, loop: asyncio.AbstractEventLoop) -> None:
        if not wish.folder.is_dir():
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(wish.folder))
        self._wish = wish
        self._loop = loop
        self._stopped = threading.Event()
        self._ending = threading.Lock()
        self._notices = listen(wish.folder, recursive=wish.recursive, written=wish.written)
        self._thread = threading.Thread(target=self._run, name=f"watch {wish.folder}", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Begin to stop."""
        with self._ending:
            if not self._stopped.is_set():
                self._stopped.set()
                self._notices.wake()

    def stop(self) -> None:
        """Stop watching, and wait for the thread to end: a few milliseconds. It never holds up its caller for
        longer than `STOP`: what is stopped is no longer listened to, and the thread ends with the process.
        """
        self.end()
        self._thread.join(STOP)
        if self._thread.is_alive():
            _log.warning("a watch does not end; left behind", folder=str(self._wish.folder))

    def _run(self) -> None:
        try:
            while not self._stopped.is_set() and self._report(self._next()):
                pass
        finally:
            with self._ending:  # what is closed must not be woken: its number may be another's by then
                self._stopped.set()
                self._notices.close()

    def _next(self) -> set[str]:
        try:
            return self._notices.next()
        except OSError as error:
            _log.warning("folder not watched", folder=str(self._wish.folder), error=str(error))
            self._stopped.wait(PULSE)
            return {""}  # which has it watched anew

    def _report(self, paths: set[str]) -> bool:
        """Pass paths on; False when nobody is listening any more."""
        if not paths or self._stopped.is_set():
            return True
        try:
            self._loop.call_soon_threadsafe(self._wish.report, paths)
        except RuntimeError:  # the loop has been closed without `stop`
            return False
        return True


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
                _Wish(self._root.parent, False, self._changed_beside, written=False),
                _Wish(self._root, True, self._changed_inside),
            ]
        else:
            self._wishes = [_Wish(self._root.parent, False, self._changed_inside)]
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
                except OSError as error:
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
