"""A fault: something wrong at a path of one document, before it has a file and an owner."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from xds_server.policy.diagnostic import Severity

Path = tuple[str | int, ...]
"""The way to a value: keys of mappings and indices of lists."""


class Fault(NamedTuple):
    """What is wrong at `path`; `key` means that it is the key there, not its value."""

    code: str
    path: Path
    message: str
    hint: str | None = None
    key: bool = False
    severity: Severity = Severity.ERROR


class Mark(NamedTuple):
    """A place in a text, line and column from 0."""

    line: int
    column: int


class MarkedFault(NamedTuple):
    """A fault with its place."""

    mark: Mark
    fault: Fault


def as_written(path: Path, written: Mapping[Path, str]) -> Path:
    """A path as the document has it: `written` holds misspelt keys, by the path at which they were meant."""
    if not written:
        return path
    return tuple(written.get(path[: index + 1], step) for index, step in enumerate(path))


def outside(path: Path, others: Iterable[Path]) -> bool:
    """Whether a path is neither one of the others nor below one."""
    return all(path[: len(other)] != other for other in others)
