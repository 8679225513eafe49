"""What the system says about a folder: from Linux at once, from others by way of watchfiles."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import Final, Protocol

from watchfiles._rust_notify import RustNotify, WatchfilesRustInternalError

STEP_MS: Final = 2
"""How often watchfiles looks whether the system has spoken. It passes a change on at the second look."""

_TIMEOUT_MS: Final = 500


class Notices(Protocol):
    """Notices of changes in a folder. For one thread, but for `wake`."""

    def next(self) -> set[str]:
        """Wait for a change, half a second at most, and return the paths inside the folder that it concerns.

        Empty when nothing has happened. The empty path is the folder itself: gone, replaced, or more than can be told.
        """

    def wake(self) -> None:
        """Have `next`, in another thread, return soon."""

    def close(self) -> None:
        """Stop watching."""


class PortableNotices:
    """As watchfiles finds them, which knows the ways of every system, and takes some milliseconds.

    Raises OSError when the system refuses.
    """

    def __init__(self, folder: Path, *, recursive: bool) -> None:
        # The system's names begin with the path watched; on systems other than Linux, with where it leads.
        self._bases = (str(folder), os.path.realpath(folder))
        self._woken = threading.Event()
        try:
            self._notify = RustNotify([str(folder)], False, False, 0, recursive, True)
        except WatchfilesRustInternalError as error:
            raise OSError(str(error)) from error
        self._notify.__enter__()

    def close(self) -> None:
        """As `Notices.close`."""
        self._notify.__exit__(None, None, None)

    def wake(self) -> None:
        """As `Notices.wake`."""
        self._woken.set()

    def next(self) -> set[str]:
        """As `Notices.next`."""
        changes = self._notify.watch(0, STEP_MS, _TIMEOUT_MS, self._woken)
        return {self._within(path) for _, path in changes} if isinstance(changes, set) else set()

    def _within(self, path: str) -> str:
        for base in self._bases:
            start = os.path.join(base, "")
            if path.startswith(start):
                return path[len(start) :]
        return ""


def listen(folder: Path, *, recursive: bool, written: bool = True) -> Notices:
    """Notices of what happens from now on, in the best way there is here. Not `written`: of names, not of what is in
    the files.

    Raises FileNotFoundError when there is nothing to watch, OSError when the system refuses.
    """
    if sys.platform != "linux":
        return PortableNotices(folder, recursive=recursive)
    from xds_server.sources.inotify import InotifyNotices

    return InotifyNotices(folder, recursive=recursive, written=written)
