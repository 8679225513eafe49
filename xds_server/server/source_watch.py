"""The watch of one policy source: asks it again and again, and keeps the last document that was good."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from time import time
from typing import Final

import httpx
import structlog

from xds_server.graph import Publisher
from xds_server.policy import read_publication
from xds_server.server.download import DownloadError, download, open_client
from xds_server.server.report import log_diagnostic

log = structlog.get_logger("fairlead.sources")

_FIRST_RETRY_SECONDS: Final = 1.0
_SPREAD: Final = 0.1
"""Many sites ask one publisher: each a little earlier or later than it says, lest they all come at once."""
_MOST_DOUBLINGS: Final = 16
_MOST_TOLD: Final = 20
"""Mistakes of one document that the log shows; `fairlead validate --source` shows all."""


class Outcome(StrEnum):
    """What came of asking once."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Kept:
    """The last good document of a URL, its tag, and when the publisher last said that it is the one (Unix time)."""

    content: bytes
    etag: str | None
    confirmed: float


class SourceWatch:
    """Watches one source, from what is `kept` of it. `on_look` is called with each outcome. `roots` are public CAs."""

    def __init__(
        self,
        publisher: Publisher,
        kept: Kept | None,
        roots: str,
        on_look: Callable[[SourceWatch, Outcome], None],
        now: Callable[[], float] = time,
    ) -> None:
        self.publisher = publisher
        self.kept = kept
        self.problem: str | None = None
        """Why the last try brought nothing; None if it did."""
        self.tried = asyncio.Event()
        self._roots = roots
        self._on_look = on_look
        self._now = now
        self._failures = 0

    @property
    def name(self) -> str:
        """The source's name."""
        return self.publisher.source.name

    @property
    def url(self) -> str:
        """Where it publishes."""
        return self.publisher.source.spec.url

    async def run(self) -> None:
        """Ask again and again, until cancelled. No failure of the publisher ends it."""
        try:
            opened = await asyncio.to_thread(open_client, self.publisher.ca or self._roots)
        except (OSError, ValueError, TypeError) as error:  # what OpenSSL says of them is any of these
            self._conclude(Outcome.FAILED, f"its CA certificates cannot be used: {error}")
            return  # with other ones it is watched anew
        async with opened as client:
            while True:
                await self.look(client)
                await asyncio.sleep(self.delay())

    async def look(self, client: httpx.AsyncClient) -> None:
        """Ask once."""
        problem: str | None = None
        try:
            outcome = await self._ask(client)
        except DownloadError as error:
            outcome, problem = Outcome.FAILED, str(error)
        except _RefusedError as error:
            outcome, problem = Outcome.REFUSED, str(error)
        except Exception as error:  # the next try is another chance, and what is kept stays
            log.exception("a policy source cannot be looked at", source=self.name)
            outcome, problem = Outcome.FAILED, f"{type(error).__name__}: {error}"
        self._conclude(outcome, problem)

    def _conclude(self, outcome: Outcome, problem: str | None) -> None:
        self._failures = self._failures + 1 if problem is not None else 0
        self._tell(problem)
        self.problem = problem
        self.tried.set()
        self._on_look(self, outcome)

    async def _ask(self, client: httpx.AsyncClient) -> Outcome:
        kept = self.kept
        etag = kept.etag if kept is not None else None
        found = await download(client, self.url, token=self.publisher.token, etag=etag)
        if kept is not None and (found is None or found.content == kept.content):
            self.kept = replace(kept, confirmed=self._now(), etag=etag if found is None else found.etag)
            return Outcome.UNCHANGED
        if found is None:
            raise DownloadError("it answers 304 to a question without a tag")
        publication = await asyncio.to_thread(read_publication, self.url, found.content)
        if publication.error is not None:
            known = self.problem is not None and str(publication.error) in self.problem
            for each in () if known else publication.diagnostics[:_MOST_TOLD]:
                log_diagnostic(each)
            raise _RefusedError(f"what it publishes is refused: {publication.error}")
        self.kept = Kept(found.content, found.etag, self._now())
        log.info("policies are published", source=self.name, policies=len(publication.policies))
        return Outcome.CHANGED

    def _tell(self, problem: str | None) -> None:
        if problem == self.problem:
            return
        if problem is None:
            log.info("a policy source answers again", source=self.name)
            return
        stays = "what it published last" if self.kept is not None else "nothing"
        log.warning(
            "a policy source cannot be used", source=self.name, url=self.url, reason=problem, stays=stays
        )

    def delay(self) -> float:
        """Seconds until the next try: the source's interval, or after failures less, doubling up to that."""
        every = self.publisher.source.spec.every
        if not self._failures:
            return every * random.uniform(1 - _SPREAD, 1 + _SPREAD)  # noqa: S311 (no secret)
        doubled = _FIRST_RETRY_SECONDS * 2.0 ** min(self._failures - 1, _MOST_DOUBLINGS)
        return float(min(every, doubled)) * random.uniform(0.5, 1.0)  # noqa: S311 (no secret)


class _RefusedError(Exception):
    """What was fetched has mistakes."""
