"""What Linux says about a folder, as it says it: nothing is polled, and a change is known in a tenth of a millisecond.

https://man7.org/linux/man-pages/man7/inotify.7.html
"""

from __future__ import annotations

import os
import stat
from errno import EACCES, EINVAL, ENOENT, ENOTDIR
from math import inf
from pathlib import Path
from time import monotonic
from typing import Final

from asyncinotify import Event, Inotify, Mask, Watch

from xds_server.sources.naming import is_hidden

_FOLDER: Final = Mask.DELETE_SELF | Mask.MOVE_SELF
# MODIFY is no reason to read: a file is read when its writer has closed it, and not half-written, and one that stays
# open is for the sweep. It tells who writes a new file from who made it elsewhere and linked it.
_INSIDE: Final = (
    Mask.CREATE
    | Mask.MODIFY
    | Mask.CLOSE_WRITE
    | Mask.MOVED_FROM
    | Mask.MOVED_TO
    | Mask.DELETE
    | Mask.ATTRIB
    | Mask.ONLYDIR
)
_WRITTEN: Final = Mask.MODIFY | Mask.CLOSE_WRITE
_GONE: Final = Mask.DELETE_SELF | Mask.MOVE_SELF | Mask.UNMOUNT | Mask.IGNORED
_NOT_OURS: Final = frozenset({ENOENT, ENOTDIR, EACCES})
"""Why a folder inside cannot be watched, that whoever reads it is told as well."""

_WAIT: Final = 0.5
"""Seconds after which `next` returns even if nothing has happened."""

_PROBATION: Final = 0.05
"""Seconds in which a writer is known as one: the kernel tells of what is written right after it is there."""

_MOST: Final = 1000
"""Events taken at once, so that nobody who never stops writing holds up what else has happened."""


class InotifyNotices:
    """Notices of changes in a folder, and with `recursive` in those inside it that are not hidden.

    Not `written`: of names only, where files are written that are nobody's affair, perhaps without end.
    Raises FileNotFoundError when there is nothing to watch, OSError when the kernel refuses. For one thread, but for
    `wake`.
    """

    def __init__(self, folder: Path, *, recursive: bool, written: bool = True) -> None:
        self._root = str(folder)
        self._recursive = recursive
        self._paths: dict[int, str] = {}
        self._linked: dict[str, float] = {}
        """New files that were there as a whole, and when that is sure."""
        self._inotify = Inotify(sync_timeout=_WAIT)
        try:
            inside = _INSIDE if written else _INSIDE & ~_WRITTEN
            self._root_watch = self._inotify.add_watch(folder, _FOLDER | inside)
            self._paths[self._root_watch.wd] = ""
            if recursive:
                self._add_below("")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop watching."""
        self._inotify.close()

    def wake(self) -> None:
        """Have `next`, in another thread, return soon."""
        self._forget(self._root_watch)  # the kernel confirms it, which is what wakes

    def next(self) -> set[str]:
        """Wait for a change, half a second at most, and return the paths inside the folder that it concerns.

        Empty when nothing has happened. The empty path is the folder itself: gone, replaced, or so much has happened
        that the kernel lost count.
        """
        ends = min(self._linked.values(), default=inf)
        self._inotify.sync_timeout = max(0.0, min(_WAIT, ends - monotonic()))
        paths: set[str] = set()
        for _ in range(_MOST):
            event = self._inotify.sync_get()
            if event is None:  # only then it is known who has written
                return paths | self._find_linked()
            self._inotify.sync_timeout = 0  # what else is there already, belongs to it
            paths |= self._take(event)
        return paths

    def _find_linked(self) -> set[str]:
        """Those whose time is over without a word of a writer."""
        now = monotonic()
        over = {path for path, ends in self._linked.items() if ends <= now}
        for path in over:
            del self._linked[path]
        return over

    def _take(self, event: Event) -> set[str]:
        if Mask.Q_OVERFLOW in event.mask:
            return {""}
        watch = event.watch
        folder = self._paths.get(watch.wd) if watch is not None else None
        if watch is None or folder is None:
            return set()
        if event.name is None:
            return self._take_of_folder(event, watch.wd, folder)
        path = os.path.join(folder, str(event.name))
        self._linked.pop(path, None)
        if Mask.MODIFY in event.mask:
            return set()
        if Mask.ISDIR in event.mask:
            self._follow(event.mask, path)
        elif Mask.CREATE in event.mask and not self._is_complete(path):
            return set()
        return {path}

    def _take_of_folder(self, event: Event, descriptor: int, folder: str) -> set[str]:
        if Mask.IGNORED in event.mask:
            del self._paths[descriptor]
        # A folder inside is told of by the one that it is in.
        return {folder} if folder == "" and event.mask & _GONE else set()

    def _is_complete(self, path: str) -> bool:
        """Whether a new file is there as a whole, a link. Others are told of when their writer closes them.

        One with a single name and something in it may be either: written elsewhere and linked (`link` and `unlink`,
        `O_TMPFILE` and `linkat`), or just made by a writer, who is heard of presently.
        """
        try:
            found = os.lstat(os.path.join(self._root, path))
        except OSError:
            return True
        if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
            return True
        if found.st_size > 0:
            self._linked[path] = monotonic() + _PROBATION
        return False

    def _follow(self, mask: Mask, path: str) -> None:
        if not self._recursive or is_hidden(os.path.basename(path)):
            return
        if Mask.MOVED_FROM in mask:
            self._remove(path)
        elif mask & (Mask.CREATE | Mask.MOVED_TO):
            self._add(path)

    def _add(self, path: str) -> None:
        try:
            watch = self._inotify.add_watch(os.path.join(self._root, path), _INSIDE | Mask.DONT_FOLLOW)
        except OSError as error:
            if error.errno in _NOT_OURS:
                return
            raise
        self._paths[watch.wd] = path
        self._add_below(path)

    def _add_below(self, path: str) -> None:
        """Watch the folders inside one that is watched already, so that none comes up unseen."""
        try:
            with os.scandir(os.path.join(self._root, path)) as entries:
                inside = [
                    each.name
                    for each in entries
                    if not is_hidden(each.name) and each.is_dir(follow_symlinks=False)
                ]
        except OSError as error:
            if error.errno in _NOT_OURS:
                return
            raise
        for name in inside:
            self._add(os.path.join(path, name))

    def _remove(self, path: str) -> None:
        below = os.path.join(path, "")
        for watch in self._inotify.watches:
            found = self._paths.get(watch.wd, "")
            if found == path or found.startswith(below):
                del self._paths[watch.wd]
                self._forget(watch)

    def _forget(self, watch: Watch) -> None:
        try:
            self._inotify.rm_watch(watch)
        except OSError as error:
            if error.errno != EINVAL:  # the folder is gone, and its watch with it
                raise
