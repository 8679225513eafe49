"""A folder of policies, or a single file: read when asked, watched when wanted."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Mapping
from errno import ENOENT
from pathlib import Path

from xds_server.shards import Shards
from xds_server.sources.burst import Burst
from xds_server.sources.naming import POLICY_ENDINGS, is_attachment, is_hidden, is_swapped, may_count
from xds_server.sources.shelf import Shelf
from xds_server.sources.text import SourceText
from xds_server.sources.watch import Watches

SWEEP = 10.0
"""Seconds between two looks at every file, for what no kernel tells: network file systems, lost events."""

REST = 100
"""How many times as long as such a look took the processor the next one waits: of very many files it takes a while."""

READ_BY_THEN = 0.5
"""Seconds in which a change that the kernel tells of has been read."""

BREATH = 0.001
"""Seconds of rest every few files: a change that comes meanwhile must find a processor."""

_READS_UNTIL_STILL = 5

_NOTHING, _FILE, _ANYTHING = "nothing", "that file", "anything"


class FolderSource:
    """The policy files below a folder, or one policy file. What is not there yet is a file if it is called like one.

    Names are shown as the path given, joined with the path inside it.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._single = self._path.is_file() or not (
            self._path.exists() or self._path.suffix not in POLICY_ENDINGS
        )
        self._folder = self._path.parent if self._single else self._path
        self._shelf = Shelf(self._path)
        self._reading = threading.Lock()
        self._noting = threading.Lock()
        # Files that have changed since they were read; None when it takes a look at all of them to know.
        self._stale: set[str] | None = None
        self.watched = False

    def read(self) -> SourceText:
        """The texts as they are now. Raises OSError when the folder or file itself cannot be read.

        While `changes` is being iterated, only files that have changed are looked at.
        """
        with self._reading:
            with self._noting:
                stale, self._stale = self._stale, set()
            try:
                if stale is None or not self.watched:
                    self._read_all()
                else:
                    self._shelf.refresh(stale)
            except BaseException:
                self._stale = None
                raise
            return self._shelf.text()

    def recall(self, files: Shards[str], stamps: Mapping[str, bytes]) -> None:
        """Know the files as they were when a process before this one read them; to be called before the first `read`.

        `stamps` are those of its source. Whatever looks otherwise now is read.
        """
        with self._reading:
            self._shelf.recall(files, stamps)

    def stamps(self) -> Mapping[str, tuple[str, bytes]]:
        """Tell the files as last read: each one's text, and by what to know that it is still the same."""
        with self._reading:
            return self._shelf.stamps()

    async def changes(self) -> AsyncIterator[None]:
        """One item whenever the texts may have changed since they were last read.

        The first change is reported at once; what follows within a short time is merged. A change between
        the last `read` and the beginning of the iteration is reported too. Raises FileNotFoundError when
        there is nothing to watch.
        """
        if not self._path.exists():
            raise FileNotFoundError(ENOENT, os.strerror(ENOENT), str(self._path))
        burst = Burst()

        def report(paths: set[str] | None) -> None:
            if self._note(paths):
                burst.signal(urgent=not self._lacks(paths or set()))

        watches = Watches(self._path, report)
        sweep = asyncio.create_task(self._sweep(burst, watches))
        try:
            self.watched = True
            if await asyncio.to_thread(self._differs):
                burst.signal()
            async for _ in burst.merged():
                yield
        finally:
            self.watched, self._stale = False, None
            sweep.cancel()
            watches.stop()

    def _note(self, paths: set[str] | None) -> bool:
        """Remember which paths inside the folder have changed, None for anything; True when it concerns us."""
        meanings = {path: self._meaning(path) for path in paths} if paths is not None else {"": _ANYTHING}
        changed = {self._named(path) for path, meaning in meanings.items() if meaning == _FILE}
        with self._noting:
            if _ANYTHING in meanings.values():
                self._stale = None
            elif self._stale is not None:
                self._stale |= changed
        return any(meaning != _NOTHING for meaning in meanings.values())

    def _lacks(self, paths: set[str]) -> bool:
        """Whether a file is gone. Some editors save by moving it away first, so it may be back in a moment."""
        return any(self._meaning(path) == _FILE and not os.path.lexists(self._named(path)) for path in paths)

    def _named(self, path: str) -> str:
        """The name under which a path inside the folder is read: the very one, or it would be read twice."""
        return str(self._folder / path) if self._single else os.path.join(self._path, path)

    def _meaning(self, path: str) -> str:
        """What it means that a path inside the folder has changed."""
        folders, name = os.path.split(path)
        if is_swapped(name):
            return _ANYTHING
        if is_hidden(name) or any(is_hidden(each) for each in folders.split(os.sep) if each):
            return _NOTHING
        if may_count(self._named(path)):
            beside = self._single and name != self._path.name
            return _NOTHING if beside and not is_attachment(self._named(path)) else _FILE
        # A folder, or something that is gone and may have been one.
        return _ANYTHING if "." not in name or os.path.isdir(self._named(path)) else _NOTHING

    async def _sweep(self, burst: Burst, watches: Watches) -> None:
        took = 0.0
        while True:
            await asyncio.sleep(max(SWEEP, REST * took))
            current, took = await asyncio.to_thread(self._is_current)
            if not current:
                self._stale = None
                burst.signal()
                watches.doubt()

    def _differs(self) -> bool:
        """Read everything; True when something is different from what was read last."""
        with self._reading:
            try:
                return self._read_all()
            except OSError:
                # The folder is away. `read` says so to whoever asks; say here that there is reason to ask.
                self._stale = None
                return True

    def _is_current(self) -> tuple[bool, float]:
        """Look at every file, without the lock, so that it makes no `read` wait; returns also the seconds of CPU."""
        began = time.thread_time()
        try:
            changed = self._shelf.find_changed(lambda: time.sleep(BREATH))
        except OSError:
            return False, time.thread_time() - began
        if changed:
            time.sleep(READ_BY_THEN)  # what the kernel did tell of is not doubted
        current = not any(map(self._shelf.is_changed, changed))
        return current, time.thread_time() - began

    def _read_all(self) -> bool:
        """Read everything, again while a Kubernetes volume or a linked root is swapped meanwhile."""
        different = False
        for _ in range(_READS_UNTIL_STILL):
            before = self._anchor()
            different = self._shelf.refresh_all() or different
            if self._anchor() == before:
                break
        return different

    def _anchor(self) -> tuple[str, str]:
        return os.path.realpath(self._folder), os.path.realpath(self._folder / "..data")
