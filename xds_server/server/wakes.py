"""Wakes: for which revisions requests wait, and telling those who start backends."""

from __future__ import annotations

import asyncio
from asyncio import Semaphore
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from math import inf
from time import monotonic
from typing import Any, Final, NamedTuple
from weakref import WeakValueDictionary

import structlog

from xds_server.graph import Endpoint, Graph, Scaling, WakeHook, list_sleepers
from xds_server.server.metrics import Metrics
from xds_server.server.waits import Want
from xds_server.server.wake_hook import WakeError, tell
from xds_server.shards import EMPTY, Shards

log = structlog.get_logger("fairlead.wakes")

FIRST_PAUSE: Final = 0.5
"""Seconds before a hook that failed is told again; each time twice as long, up to `LONGEST_PAUSE`."""
LONGEST_PAUSE: Final = 8.0
LINGER: Final = 2.0
"""Seconds for which a request waits on that nobody says more of. Envoys say so twice a second."""

MOST_AT_ONCE: Final = 8
"""Calls of one hook at the same time: a hundred models may be asked for in the same second."""

Tell = Callable[[WakeHook, Mapping[str, str]], Awaitable[None]]


class _Watched(NamedTuple):
    path: str
    environment: str
    revision: str
    scaling: Scaling
    asleep: bool


@dataclass(slots=True)
class _Wait:
    region: str
    """Of the Envoy at which the first request waited."""
    until: float
    """When nobody waits any more, unless somebody says so."""
    task: asyncio.Task[None] | None = None


class Wakes:
    """All revisions of deployments that scale from zero. ``roots`` are public CAs in PEM, ``now`` a clock in seconds.

    A hook is told once per revision as long as its ``every`` lasts, and again while somebody waits. What fails is tried
    again, told, counted, and holds up nothing else. Nothing is kept: Envoys say again and again what they wait for. One
    event loop.
    """

    def __init__(
        self,
        metrics: Metrics,
        roots: str,
        now: Callable[[], float] = monotonic,
        tell_hook: Tell | None = None,
    ) -> None:
        self._metrics = metrics
        self._now = now
        self._tell: Tell = tell_hook or (lambda hook, body: tell(hook, body, roots))
        self._endpoints: Shards[Endpoint] = EMPTY
        self._watched: dict[str, _Watched] = {}
        """By cluster."""
        self._names: dict[str, tuple[str, ...]] = {}
        """Clusters of those watched, by path."""
        self._waits: dict[str, _Wait] = {}
        self._doors: WeakValueDictionary[str, Semaphore] = WeakValueDictionary()
        """By hook, as long as it is being told."""
        self._told: dict[str, float] = {}
        """By cluster that is asleep: when its hook was told last."""

    def follow(self, graph: Graph) -> None:
        """Take note of the graph as it is now, registered backends included."""
        changed, gone = graph.endpoints.since(self._endpoints)
        if not changed and not gone:
            return
        self._endpoints = graph.endpoints
        stale = {name for path in changed | gone for name in self._names.pop(path, ())}
        for name in stale:
            del self._watched[name]
        for path in changed:
            found = {
                f"{path}/{each.environment}/{each.revision}": _Watched(path, *each)
                for each in list_sleepers(graph.endpoints[path])
            }
            if found:
                self._names[path] = tuple(found)
                self._watched |= found
                stale |= found.keys()
        for name in stale:
            if name not in self._watched or not self._watched[name].asleep:
                self._end(name)
        self._count()

    def wait(self, region: str, want: Want) -> None:
        """Take note that a request waits at an Envoy in a region. Revisions that have a backend are not meant."""
        for revision in want.revisions:
            name = f"{want.path}/{want.environment}/{revision}"
            watched = self._watched.get(name)
            if watched is None or not watched.asleep:
                continue
            until = self._now() + LINGER
            wait = self._waits.get(name)
            if wait is not None:
                wait.until = until
                continue
            log.info("requests wait for a backend", revision=name, region=region)
            wait = self._waits[name] = _Wait(region, until)
            wait.task = asyncio.create_task(self._wake(name, wait), name=f"wake {name}")
            self._count()

    async def _wake(self, name: str, wait: _Wait) -> None:
        """Tell the hook, now and again, until nobody waits any more."""
        again, pause = -inf, FIRST_PAUSE
        while (now := self._now()) < wait.until:
            hook = self._watched[name].scaling.hook  # policies may name another meanwhile
            due = max(again, self._told.get(name, -inf) + hook.every)
            if now < due:
                await asyncio.sleep(min(due, wait.until, now + LONGEST_PAUSE) - now)
            elif await self._try(name, hook, wait.region):
                pause = FIRST_PAUSE
            else:
                again, pause = self._now() + pause, min(2 * pause, LONGEST_PAUSE)
        self._waits.pop(name, None)
        self._count()

    async def _try(self, name: str, hook: WakeHook, region: str) -> bool:
        watched = self._watched[name]
        body = {
            "path": watched.path,
            "environment": watched.environment,
            "revision": watched.revision,
            "region": region,
            "reason": "no-backend",
        }
        door = self._doors.get(hook.url) or Semaphore(MOST_AT_ONCE)
        self._doors[hook.url] = door
        try:
            async with door:
                await self._tell(hook, body)
        except WakeError as error:
            self._metrics.wakes.labels("failed").inc()
            log.warning(
                "wake hook failed; it is told again while requests wait", revision=name, reason=str(error)
            )
            return False
        except Exception:  # whatever it is, the next revision's hook is not to suffer
            self._metrics.wakes.labels("failed").inc()
            log.exception("wake hook cannot be told", revision=name)
            return False
        self._told[name] = self._now()
        self._metrics.wakes.labels("told").inc()
        log.info("wake hook told", revision=name, region=region)
        return True

    def _end(self, name: str) -> None:
        """Forget that somebody waited: there is a backend, or nothing to wait for."""
        self._told.pop(name, None)
        wait = self._waits.pop(name, None)
        if wait is not None and wait.task is not None:
            wait.task.cancel()

    def _count(self) -> None:
        self._metrics.asleep.set(sum(each.asleep for each in self._watched.values()))
        self._metrics.waited_for.set(len(self._waits))

    def describe(self) -> list[dict[str, Any]]:
        """Describe the revisions that have no backend now: for how many seconds somebody may still wait, and how many
        ago the hook was told."""
        now = self._now()
        return [
            {
                "path": each.path,
                "environment": each.environment,
                "revision": each.revision,
                "waiting": round(self._waits[name].until - now, 1) if name in self._waits else None,
                "told": round(now - self._told[name], 1) if name in self._told else None,
            }
            for name, each in sorted(self._watched.items())
            if each.asleep
        ]

    async def close(self) -> None:
        """Tell nobody any more."""
        tasks = [wait.task for wait in self._waits.values() if wait.task is not None]
        self._waits.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
