"""What the pipeline is given, and what one run of it makes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final, Protocol

import structlog

from xds_server.archive import Stamps
from xds_server.graph import Built
from xds_server.shards import Shards
from xds_server.snapshot import Catalogue
from xds_server.sources import SourceText

log = structlog.get_logger("fairlead.pipeline")

AWAY_SECONDS: Final = 1.0
"""Between two looks for policies that cannot be watched, most likely because they are not there."""


class Source(Protocol):
    """Where policies come from."""

    def read(self) -> SourceText:
        """The policies as they are now. Raises ``OSError`` if they can't be read at all."""

    def changes(self) -> AsyncIterator[None]:
        """Yields whenever they may have changed. Raises ``OSError`` if they can't be watched."""

    def recall(self, files: Shards[str], stamps: Mapping[str, bytes]) -> None:
        """Know files as a process before this one read them, each by what ``stamps`` told of it."""

    def stamps(self) -> Stamps:
        """The files as last read, and by what each can be known to be still the same."""


async def watch(source: Source) -> AsyncGenerator[None, None]:
    """Yields at each of the source's changes; while there is nothing to watch, now and then."""
    while True:
        changes = source.changes()
        try:
            async for _ in changes:
                yield
            return
        except OSError as error:
            log.debug("the policies cannot be watched now", reason=str(error))
        finally:
            if isinstance(changes, AsyncGenerator):
                await changes.aclose()
        await asyncio.sleep(AWAY_SECONDS)
        yield


@dataclass(frozen=True, slots=True)
class Update:
    """What one run of the pipeline made, and how long it took in seconds."""

    catalogue: Catalogue
    built: Built
    load_seconds: float
    compile_seconds: float
    before: Catalogue | None = None
    """What the process before this one served last, in the first update: clients may still hold it."""
    text: SourceText | None = None
    """What it was made of, unless that was on disk."""
