"""The keeper: has the last good state written to disk in the background, soon after it was published."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final

import structlog

from xds_server.archive import Archive, Stamps
from xds_server.graph import Built
from xds_server.server.readiness import Readiness
from xds_server.sources import SourceText

log = structlog.get_logger("fairlead.keeper")

PAUSE: Final = 2.0
"""Seconds that what follows a change has to be written with it."""

REST: Final = 20
"""How many times as long as a write took the next one waits: with very many models writing takes a while, and must
not go on all the time."""

RETRY: Final = 10.0
"""Seconds between two attempts while the disk refuses."""


class Keeper:
    """Writes the newest of what it was told, never more than once in `pause` seconds, and a small share of the time."""

    def __init__(
        self,
        archive: Archive,
        readiness: Readiness,
        pause: float = PAUSE,
        retry: float = RETRY,
        stamps: Callable[[], Stamps] = dict,
    ) -> None:
        """`stamps` tells by what files can be known to be the same as when they were read."""
        self._archive = archive
        self._readiness = readiness
        self._pause = pause
        self._retry = retry
        self._stamps = stamps
        self._newest: Built | None = None
        self._text: SourceText | None = None
        self._due = asyncio.Event()
        self._told: str | None = None
        self._seconds = 0.0
        """What the last write took."""

    def note(self, built: Built, text: SourceText | None = None) -> None:
        """Take note of what is served now, and of the texts it was built of, if they are known. Returns at once."""
        same = built is self._newest  # only what moves at run time is another
        self._newest, self._text = built, text if text is not None or not same else self._text
        self._due.set()

    async def run(self) -> None:
        """Write whenever there is something new, until cancelled."""
        while True:
            await self._due.wait()
            await asyncio.sleep(max(self._pause, REST * self._seconds))
            started = monotonic()
            written = await self.write()
            self._seconds = monotonic() - started
            if not written:
                await asyncio.sleep(self._retry)
                self._due.set()

    async def write(self) -> bool:
        """Write what there is to write now. Returns whether the disk has it all."""
        built, text = self._newest, self._text
        self._due.clear()
        if built is None:
            return True
        try:
            written = await asyncio.to_thread(self._archive.keep, built.grounds, built.kept)
            if text is not None:
                await asyncio.to_thread(
                    self._archive.keep_image, built, text.files, text.attachments, self._stamps
                )
        except Exception as error:
            if not isinstance(error, OSError):
                log.exception("the last good state cannot be written")
                self._tell(f"{type(error).__name__}: {error}")
                return False
            self._tell(f"{error.filename or self._archive.path}: {error.strerror or error}")
            return False
        self._tell(None)
        self._readiness.note("archive", "; ".join(map(str, self._archive.faults)) or None)
        if written:
            log.debug("last good state written", files=written)
        return True

    def _tell(self, reason: str | None) -> None:
        if reason == self._told:
            return
        self._told = reason
        if reason is None:
            log.info("the last good state can be written again")
            self._readiness.note("state", None)
            return
        log.warning(
            "cannot write the last good state; serving goes on, and it is tried again",
            reason=reason,
            hint="a restart while a workspace is broken would not have its last good state",
        )
        self._readiness.note("state", f"the last good state cannot be written: {reason}")
