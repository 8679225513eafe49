"""Policy sources: what other teams publish, fetched beside the pipeline and attached to what it reads.

A publication is a file that happens to lie elsewhere: the pipeline finds it under its URL among the attachments, and is
told when it is another. The last good one of each source outlives the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from time import time
from typing import Any, Final

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from xds_server.archive import Journal, JournalError
from xds_server.graph import Publisher, Publishers
from xds_server.policy import read_publication
from xds_server.server.metrics import Metrics
from xds_server.server.readiness import Readiness
from xds_server.server.source_watch import Kept, Outcome, SourceWatch
from xds_server.sources import SourceText

log = structlog.get_logger("fairlead.sources")

_SETTLE_SECONDS: Final = 12.0
"""How long a start waits for sources of which nothing is known: a little more than one try takes."""
_MOMENT_SECONDS: Final = 1.0
"""How long all else waits for a source that was declared just now, lest what attaches it is refused for a blink."""
_KEEP_SECONDS: Final = 300.0
"""Between two writes of when a source was last confirmed, while it publishes the same."""


@dataclass(frozen=True, slots=True)
class _Running:
    watch: SourceWatch
    task: asyncio.Task[None]


class PolicySources:
    """All policy sources that the graph declares. `on_change` is called when the pipeline is to look again.

    Without a `journal` nothing is known of them at the start. `roots` are public CAs in PEM. One event loop at a time.
    """

    def __init__(
        self,
        metrics: Metrics,
        readiness: Readiness,
        roots: str,
        journal: Journal | None = None,
        now: Callable[[], float] = time,
    ) -> None:
        self.on_change: Callable[[], None] = lambda: None
        self.unfetched: Mapping[str, str] = {}
        """By URL, why nothing is known of it. Replaced, never changed, as `_contents`: another thread reads them."""
        self._contents: Mapping[str, bytes] = {}
        self._metrics = metrics
        self._readiness = readiness
        self._roots = roots
        self._journal = journal
        self._now = now
        self._kept: dict[str, Kept] = {}
        """By URL; also of sources that are not declared now: their file may be away for a moment."""
        self._running: dict[str, _Running] = {}
        self._attached: tuple[object, Mapping[str, bytes]] | None = None
        self._settling = False
        self._written = 0.0
        self._writing = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._recall()

    def _recall(self) -> None:
        try:
            entries = self._journal.read() if self._journal is not None else {}
            for url, held in entries.items():
                kept = _read(held)
                # What is no good to this version is asked for anew, without its tag.
                if read_publication(url, kept.content).error is None:
                    self._kept[url] = kept
        except (JournalError, KeyError, TypeError, ValueError, AttributeError) as error:
            log.warning(
                "what is kept of policy sources cannot be used; they are asked anew", reason=str(error)
            )
            self._kept.clear()
        self._contents = {url: each.content for url, each in self._kept.items()}

    def attach(self, text: SourceText) -> SourceText:
        """The text with what is published among its attachments (the same mapping for the same ones), or why not."""
        given = (text.attachments, self._contents)
        if self._attached is None or self._attached[0] != given:
            self._attached = (given, {**text.attachments, **self._contents})
        return replace(text, attachments=self._attached[1], unfetched=self.unfetched)

    def follow(self, publishers: Publishers) -> None:
        """Watch these sources from now on, and no others."""
        for name, running in list(self._running.items()):
            if not _is_same(running.watch.publisher, publishers.get(name)):
                self._forget(name)
        for name in publishers.keys() - self._running.keys():
            publisher = publishers[name]
            watch = SourceWatch(
                publisher, self._kept.get(publisher.source.spec.url), self._roots, self._look, self._now
            )
            task = asyncio.get_running_loop().create_task(watch.run(), name=f"policy source {name}")
            self._running[name] = _Running(watch, task)
            self._metrics.source_age.labels(name).set_function(partial(self._age, watch))

    def _forget(self, name: str) -> None:
        self._running.pop(name).task.cancel()
        self._metrics.source_age.remove(name)
        self._readiness.note(f"policy source {name}", None)

    def _look(self, watch: SourceWatch, outcome: Outcome) -> None:
        self._metrics.source_fetches.labels(watch.name, str(outcome)).inc()
        self._readiness.note(f"policy source {watch.name}", self._describe_problem(watch))
        if watch.kept is not None:
            self._kept[watch.url] = watch.kept
        unfetched = {
            each.watch.url: each.watch.problem
            for each in self._running.values()
            if each.watch.kept is None and each.watch.problem is not None
        }
        news = outcome is Outcome.CHANGED or unfetched != self.unfetched
        self.unfetched = unfetched
        if outcome is Outcome.CHANGED:
            self._contents = {url: each.content for url, each in self._kept.items()}
        stale = outcome is Outcome.UNCHANGED and self._now() - self._written >= _KEEP_SECONDS
        if outcome is Outcome.CHANGED or stale:
            task = asyncio.get_running_loop().create_task(self._keep(), name="policy sources are kept")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if news and not self._settling:
            self.on_change()

    async def settle(self, *, first: bool) -> bool:
        """Wait until each source of which nothing is known was asked once; after the `first` time a moment only.

        Returns whether there was any, so that whoever waits looks again.
        """
        watches = [each.watch for each in self._running.values()]
        waiting = [each.tried.wait() for each in watches if each.kept is None and not each.tried.is_set()]
        if not waiting:
            return False
        self._settling = True
        try:
            async with asyncio.timeout(_SETTLE_SECONDS if first else _MOMENT_SECONDS):
                await asyncio.gather(*waiting)
        except TimeoutError:
            log.warning("a policy source has not answered yet; what attaches its policies is refused so far")
        finally:
            self._settling = False
        return True

    async def _keep(self) -> None:
        if self._journal is None:
            return
        async with self._writing:
            self._written = self._now()
            urls = {each.watch.url for each in self._running.values()}
            entries = {url: _write(each) for url, each in self._kept.items() if url in urls}
            try:
                await asyncio.to_thread(self._journal.write, entries)
            except OSError as error:
                words = (
                    f"what is published cannot be written: {error.strerror or error}; a restart would lack it"
                )
                self._readiness.note("policy sources", words)
                self._written = 0.0
            else:
                self._readiness.note("policy sources", None)

    async def stop(self) -> None:
        """Watch no more, and write down what is known."""
        watching = [each.task for each in self._running.values()]
        for task in watching:
            task.cancel()
        if watching or self._tasks:
            await asyncio.wait([*watching, *self._tasks])
        if self._running:
            await self._keep()

    def routes(self) -> list[BaseRoute]:
        """Return the page: `GET /sources`."""

        async def show(_: Request) -> Response:
            return JSONResponse({"sources": self.describe()})

        return [Route("/sources", show)]

    def describe(self) -> list[dict[str, Any]]:
        """Describe each source: what it publishes, since when that is not confirmed any more, and why."""
        return [self._describe(each.watch) for _, each in sorted(self._running.items())]

    def _describe(self, watch: SourceWatch) -> dict[str, Any]:
        kept = watch.kept
        published = None if kept is None else read_publication(watch.url, kept.content)
        return {
            "source": watch.name,
            "url": watch.url,
            "confirmed": None if kept is None else _date(kept.confirmed),
            "policies": None if published is None else sorted(published.policies),
            "problem": watch.problem,
        }

    def _describe_problem(self, watch: SourceWatch) -> str | None:
        if watch.problem is None:
            return None
        stays = "nothing of it is known"
        if watch.kept is not None:
            stays = f"what it published until {_date(watch.kept.confirmed)} stays"
        return f"{watch.url}: {watch.problem}; {stays}"

    def _age(self, watch: SourceWatch) -> float:
        return float("inf") if watch.kept is None else max(0.0, self._now() - watch.kept.confirmed)


def _is_same(watched: Publisher, publisher: Publisher | None) -> bool:
    if publisher is None:
        return False
    return (watched.source, watched.token, watched.ca) == (publisher.source, publisher.token, publisher.ca)


def _read(held: Any) -> Kept:
    content = held["document"].encode("utf-8", "surrogateescape")
    return Kept(content, None if held["etag"] is None else str(held["etag"]), float(held["confirmed"]))


def _write(kept: Kept) -> dict[str, Any]:
    document = kept.content.decode("utf-8", "surrogateescape")
    return {"document": document, "etag": kept.etag, "confirmed": kept.confirmed}


def _date(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
