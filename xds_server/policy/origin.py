"""Where a manifest came from, down to the position of every value in it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from xds_server.policy.diagnostic import Position
from xds_server.policy.reading.document import compose, find
from xds_server.policy.reading.fault import Path


@dataclass(frozen=True, slots=True)
class Origin:
    """A document in a file.

    It keeps the document's text (shared with the loader's cache), not its positions: those are found by
    reading the text again, which is only needed when there is something to say about it.
    `line` is the first line of the manifest, `first` the line of the file at which `text` begins, `index`
    the place of the document among those in `text`.
    """

    file: str
    line: int
    text: str
    first: int = 1
    index: int = 0

    NOWHERE: ClassVar[Origin]

    def locate(self, path: Path, key: bool = False) -> Position:
        """The position of the value at a path such as `("spec", "deployments", 0, "policies", 1)`.

        With `key`, that of the key in front of it. Where the path leads to nothing, the position of the
        nearest thing around it.
        """
        documents = compose(self.text)
        if self.index >= len(documents):
            return Position(self.file, self.line, 1)
        mark = find(documents[self.index], path, key)
        return Position(self.file, self.first + mark.line, mark.column + 1)

    def moved(self, lines: int) -> Origin:
        """The same document, so many lines further down."""
        return replace(self, line=self.line + lines, first=self.first + lines)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


Origin.NOWHERE = Origin("", 0, "")
