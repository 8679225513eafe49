"""Watching: what the kernel says about a folder, passed on from a thread to the event loop."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from errno import ENOENT
from pathlib import Path

from watchfiles._rust_notify import RustNotify

STEP_MS = 3
"""How often watchfiles looks whether the kernel has spoken. It passes a change on at the second look."""

RARE_STEP_MS = 25
"""The same for what seldom happens."""

_TIMEOUT_MS = 0

_Report = Callable[[set[str]], None]


class Watch:
    """A folder watched until `stop`: `report` is called on the event loop with the paths that changed.

    watchfiles' own `awatch` waits at least 50 ms, and begins to watch at an unknown moment; this watches from
    when it is made. Raises FileNotFoundError when there is nothing to watch.
    """

    def __init__(self, folder: Path, step_ms: int, recursive: bool, report: _Report) -> None:
        self._step_ms = step_ms
        if not folder.is_dir():
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(folder))
        self._loop = asyncio.get_running_loop()
        self._report = report
        self._stopped = threading.Event()
        self._notify = RustNotify([str(folder)], False, False, 0, recursive, True)
        self._thread = threading.Thread(target=self._run, name=f"watch {folder}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop watching, and wait for the thread to end: a few milliseconds."""
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        with self._notify as notify:
            while not self._stopped.is_set():
                changes = notify.watch(0, self._step_ms, _TIMEOUT_MS, self._stopped)
                if isinstance(changes, set) and not self._stopped.is_set():
                    paths = {path for _, path in changes}
                    try:
                        self._loop.call_soon_threadsafe(self._report, paths)
                    except RuntimeError:  # the loop has been closed without `stop`: nobody is listening
                        return


class Watches:
    """Everything that has to be watched for one path: what is in it, and the path itself being replaced.

    `report` is called with the paths that changed, or with None when the path itself was replaced, as when a
    link to a release is pointed at the next one.
    """

    def __init__(self, path: Path, report: Callable[[set[str] | None], None]) -> None:
        self._path = path
        self._report = report
        self._inner: Watch | None = None
        if path.is_dir():
            self._outer = Watch(path.absolute().parent, RARE_STEP_MS, False, self._replaced)
            self._inner = Watch(path, STEP_MS, True, report)
        else:
            self._outer = Watch(path.parent, STEP_MS, False, report)

    def stop(self) -> None:
        """Stop watching."""
        self._outer.stop()
        if self._inner is not None:
            self._inner.stop()

    def _replaced(self, paths: set[str]) -> None:
        if not any(os.path.basename(path) == self._path.absolute().name for path in paths):
            return
        if self._inner is not None:
            self._inner.stop()
            self._inner = None
        if self._path.is_dir():
            self._inner = Watch(self._path, STEP_MS, True, self._report)
        self._report(None)
