"""What the pipeline is given, and what one run of it makes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from xds_server.graph import Built
from xds_server.snapshot import Catalogue
from xds_server.sources import SourceText


class Source(Protocol):
    """Where policies come from."""

    def read(self) -> SourceText:
        """The policies as they are now. Raises ``OSError`` if they can't be read at all."""

    def changes(self) -> AsyncIterator[None]:
        """Yields whenever they may have changed. Raises ``OSError`` if they can't be watched."""


@dataclass(frozen=True, slots=True)
class Update:
    """What one run of the pipeline made, and how long it took in seconds."""

    catalogue: Catalogue
    built: Built
    load_seconds: float
    compile_seconds: float
    before: Catalogue | None = None
    """What the process before this one served last, in the first update: clients may still hold it."""
