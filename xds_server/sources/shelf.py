"""The shelf: the files of a folder as last read, brought up to date file by file or all at once."""

from __future__ import annotations

import os
import stat
import struct
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from xds_server.shards import EMPTY, Shards
from xds_server.sources.naming import POLICY_ENDINGS, is_attachment, is_hidden, is_policy, may_count
from xds_server.sources.text import SourceText

LARGEST_POLICY = 16 * 2**20
LARGEST_ATTACHMENT = 2**20

_SETTLED_NS = 2_000_000_000
"""A file changed twice within a tick of the file system's clock (2 s on the coarsest) looks the same twice."""

_BETWEEN_RESTS = 16
"""Files looked at one after the other, where there is no hurry."""

_SIGNATURE = struct.Struct("=QQqq")


@dataclass(frozen=True, slots=True)
class _Item:
    """A file as read: its text if it holds policies, its bytes if others may refer to it, or what is wrong with it."""

    signature: bytes
    settled: bool
    text: str | None = None
    content: bytes | None = None
    problem: str | None = None

    def says(self, other: _Item) -> bool:
        """Whether both hold the same, whenever they were read."""
        return (self.text, self.content, self.problem) == (other.text, other.content, other.problem)


class Shelf:
    """The files below `root`, or `root` itself where it is a file, with the files beside it as attachments.

    Symbolic links are followed to files inside the folder only: what lies outside was not put there to be
    read by us, and a policy could otherwise show it to the world. Linked folders are not followed.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._items: dict[str, _Item] = {}
        self._problems: dict[str, str] = {}
        self._text = SourceText(EMPTY, {}, {})

    def text(self) -> SourceText:
        """What is on the shelf now: the same objects as last time where it is the same."""
        return self._text

    def recall(self, files: Shards[str], stamps: Mapping[str, bytes]) -> None:
        """Know files as `stamps` tell them to have been read before, to be called before the first look.

        A file that looks otherwise now is read like any other.
        """
        self._items = {path: _Item(stamp, True, files[path]) for path, stamp in stamps.items()}
        self._text = SourceText(files, {}, {})

    def stamps(self) -> dict[str, tuple[str, bytes]]:
        """The files' texts and how the files looked, of those that can be told by that, and that hold policies only."""
        return {
            path: (item.text, item.signature)
            for path, item in self._items.items()
            if item.settled and item.text is not None and item.content is None
        }

    def refresh_all(self) -> bool:
        """Look at every file; True when something is different. Raises OSError when the root is not there."""
        before = self._items
        single = not stat.S_ISDIR(os.stat(self._root).st_mode)
        folder = self._root.parent if single else self._root
        real = os.path.realpath(folder)
        self._items, self._problems = {}, {}
        paths = _beside(self._root) if single else self._below(str(folder))
        for path in paths:
            self._put(path, real, before.get(path), policy=not single or path == str(self._root))
        files = {path: item.text for path, item in self._items.items() if item.text is not None}
        attachments = {path: item.content for path, item in self._items.items() if item.content is not None}
        self._publish(self._text.files.become(files), attachments)
        return any(self._differs(before.get(path), item) for path, item in self._items.items()) or len(
            before
        ) != len(self._items)

    def refresh(self, paths: Iterable[str]) -> None:
        """Look at these files only, each named as `refresh_all` would. Raises OSError as that does."""
        single = not stat.S_ISDIR(os.stat(self._root).st_mode)
        folder = self._root.parent if single else self._root
        real = os.path.realpath(folder)
        files: dict[str, str] = {}
        attachments = dict(self._text.attachments)
        gone: list[str] = []
        for path in paths:
            before = self._drop(path)
            beside = os.path.dirname(path) or os.curdir
            within = os.path.relpath(beside, folder)
            # A path through a linked folder is not one that `refresh_all` would have come by.
            if os.path.realpath(beside) == os.path.normpath(os.path.join(real, within)):
                self._put(path, real, before, policy=not single or path == str(self._root))
            item = self._items.get(path)
            attachments.pop(path, None)
            if item is not None and item.text is not None:
                files[path] = item.text
            else:
                gone.append(path)
            if item is not None and item.content is not None:
                attachments[path] = item.content
        self._publish(self._text.files.amend(gone, files), attachments)

    def _publish(self, files: Shards[str], attachments: dict[str, bytes]) -> None:
        last = self._text
        self._text = SourceText(
            files,
            last.attachments if attachments == last.attachments else attachments,
            last.problems if self._problems == last.problems else dict(self._problems),
        )

    def find_changed(self, rest: Callable[[], None] = lambda: None) -> list[str]:
        """Find the files that look otherwise than when they were read, that are new or gone; changes nothing.

        `rest` is called every few files. Raises OSError as `refresh_all`.
        """
        other = Shelf(self._root)
        single = not stat.S_ISDIR(os.stat(self._root).st_mode)
        found, changed = 0, []
        for found, path in enumerate(_beside(self._root) if single else other._below(str(self._root)), 1):
            if not _looks_like(path, self._items.get(path)):
                changed.append(path)
            if found % _BETWEEN_RESTS == 0:
                rest()
        if found != len(self._items):
            changed += [path for path in tuple(self._items) if not os.path.lexists(path)]
        return changed

    def is_changed(self, path: str) -> bool:
        """Whether a file looks otherwise than when it was read, is new or gone."""
        if os.path.lexists(path):
            return not _looks_like(path, self._items.get(path))
        return path in self._items

    def _below(self, folder: str) -> Iterator[str]:
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            if folder == str(self._root):
                raise
            self._problems[folder] = f"the folder cannot be read: {error.strerror}"
            return
        for entry in entries:
            if is_hidden(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from self._below(entry.path)
            elif may_count(entry.path):
                yield entry.path
            elif entry.is_symlink() and entry.is_dir():
                self._problems[entry.path] = "links to folders are not followed"

    def _put(self, path: str, real: str, before: _Item | None, *, policy: bool) -> None:
        item = _item(path, real, before, policy)
        if item is None:
            return
        self._items[path] = item
        if item.problem is not None:
            self._problems[path] = item.problem

    def _drop(self, path: str) -> _Item | None:
        self._problems.pop(path, None)
        return self._items.pop(path, None)

    @staticmethod
    def _differs(before: _Item | None, item: _Item) -> bool:
        return before is None or (before is not item and not before.says(item))


def _looks_like(path: str, item: _Item | None) -> bool:
    if item is None:
        return False
    try:
        found = os.stat(path)
    except OSError:
        return item.problem is not None
    return item.problem is not None or item.signature == _signature(found)


def _signature(found: os.stat_result) -> bytes:
    # One object instead of five: there is one for each of a hundred thousand files.
    return _SIGNATURE.pack(found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def _beside(file: Path) -> Iterator[str]:
    """A single policy file, and the attachments in its folder and the folders there."""
    yield str(file)
    for folder in (file.parent, *sorted(each for each in file.parent.iterdir() if each.is_dir())):
        if folder != file.parent and is_hidden(folder.name):
            continue
        for path in sorted(folder.iterdir()):
            if path != file and is_attachment(str(path)) and may_count(str(path)):
                yield str(path)


def _item(path: str, real: str, before: _Item | None, policy: bool) -> _Item | None:
    """The file at a path; `before` itself when it has not changed, None when it is gone."""
    linked = False
    try:
        found = os.lstat(path)
        linked = stat.S_ISLNK(found.st_mode)
        if linked:
            found = os.stat(path)
    except FileNotFoundError:
        return _broken("the link leads nowhere") if linked else None
    except OSError as error:
        return _broken(f"cannot be read: {error.strerror}")
    signature = _signature(found)
    if before is not None and before.settled and before.signature == signature:
        return before
    problem = _refused(path, real if linked else None, found)
    if problem is not None:
        return _broken(problem)
    now = time.time_ns()
    try:
        content = _read(path, found.st_size)
    except FileNotFoundError:
        return None
    except OSError as error:
        return _broken(f"cannot be read: {error.strerror}")
    settled = now - max(found.st_mtime_ns, found.st_ctime_ns) > _SETTLED_NS
    text = content.decode("utf-8", "surrogateescape") if policy and path.endswith(POLICY_ENDINGS) else None
    if text is not None and not is_policy(path, text):
        text = None
    return _Item(signature, settled, text, content if is_attachment(path) else None)


def _read(path: str, size: int) -> bytes:
    """The content of a file that was of this size a moment ago."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = os.read(descriptor, size + 1)
        if len(content) > size:  # it grows
            content += os.read(descriptor, LARGEST_POLICY)
        return content
    finally:
        os.close(descriptor)


def _refused(path: str, real: str | None, found: os.stat_result) -> str | None:
    """Why a file is not read; `real` is the folder that a link must not lead out of."""
    if real is not None and os.path.commonpath([real, os.path.realpath(path)]) != real:
        return "the link leads out of the policy folder"
    if not stat.S_ISREG(found.st_mode):
        return "is not a regular file"
    largest = LARGEST_POLICY if path.endswith((".yaml", ".yml")) else LARGEST_ATTACHMENT
    if found.st_size > largest:
        return f"is larger than {largest // 2**20} MiB"
    return None


def _broken(problem: str) -> _Item:
    return _Item(b"", False, problem=problem)
