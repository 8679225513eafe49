"""The pipeline: read → load → build → compile → publish, once at the start and again at every change."""

from __future__ import annotations

import asyncio
import gc
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from time import perf_counter

import certifi
import structlog

from xds_server.archive import Archive, Fault, Recalled
from xds_server.collection import uncollected
from xds_server.compiler import Compiler
from xds_server.graph import NOTHING, Builder, Built, Graph
from xds_server.policy import LoadCache, Loaded, load
from xds_server.server.completion import complete
from xds_server.server.control_plane import ControlPlane
from xds_server.server.guard import Guard
from xds_server.server.keeper import PAUSE, Keeper
from xds_server.server.movement import Movement
from xds_server.server.outlook import Sights
from xds_server.server.policy_sources import PolicySources
from xds_server.server.publisher import NOTHING_PREPARED
from xds_server.server.recollection import recollect
from xds_server.server.report import Reporter
from xds_server.server.update import Source, Update, watch
from xds_server.snapshot import Catalogue

log = structlog.get_logger("fairlead.pipeline")


@dataclass(frozen=True, slots=True)
class _Outlet:
    """Where updates go."""

    plane: ControlPlane
    reporter: Reporter
    keeper: Keeper | None


class Pipeline:
    """Turns a source's policies into catalogues, and keeps from one run to the next what did not change.

    With an `archive`, the last good state outlives the process; written to disk `pause` seconds after a change. The
    `guard` has a say in what may vanish at once. What `movement` moves is laid over the graph that is compiled, and
    what policy `sources` publish belongs to what the source holds.
    """

    def __init__(
        self,
        source: Source,
        *,
        archive: Archive | None = None,
        guard: Guard | None = None,
        movement: Movement | None = None,
        sources: PolicySources | None = None,
        pause: float = PAUSE,
    ) -> None:
        self._source = source
        self._cache = LoadCache()
        self._builder = Builder()
        self._compiler = Compiler(certifi.contents())
        self._archive = archive
        self._guard = guard or Guard()
        self._movement = movement
        self._sources = sources
        self._pause = pause
        self._recalled: Recalled | None = None
        self._served: Built | None = None
        self._compiled = False
        self._stepping = asyncio.Lock()

    @uncollected()
    def refresh(self) -> Update:
        """Run once. Bad policies are no failure: they are in ``built.diagnostics``, and what was good stays.

        Raises whatever ``Source.read`` raises.
        """
        started = perf_counter()
        text = self._source.read()
        if self._sources is not None:
            text = self._sources.attach(text)
        loaded = load(text.files, text.attachments, self._cache, text.problems, text.unfetched)
        read = perf_counter()
        self._resume(loaded)
        earlier = self._compile_earlier()
        before = self._builder.graph
        try:
            built = self._builder.build(loaded)
            hold = self._guard.judge(before, built.graph, text)
            if hold is not NOTHING:
                self._rewind()
                built = self._builder.build(loaded, hold)
            catalogue = self._compile(built.graph)
            self._compiled = True
        except BaseException:
            self._rewind()
            raise
        self._served = built
        return Update(catalogue, built, read - started, perf_counter() - read, earlier, text)

    def _compile_earlier(self) -> Catalogue | None:
        """Make the catalogue of what is on disk, before there is another."""
        if self._compiled or self._served is None:
            return None
        try:
            return self._compile(self._served.graph)
        except Exception:  # what is not served need not compile
            log.exception("what was last good, on disk, cannot be compiled")
            return None

    def fall_back(self) -> Update | None:
        """What was last good when the process before this one ended; None if there is nothing."""
        started = perf_counter()
        self._resume(None)
        if self._served is None or not self._served.servable:
            return None
        return Update(self._compile(self._served.graph), self._served, 0.0, perf_counter() - started)

    def move(self) -> Update | None:
        """Compile once more what is served, as traffic moves now; None if nothing is served."""
        started = perf_counter()
        if self._served is None or not self._served.servable:
            return None
        return Update(self._compile(self._served.graph), self._served, 0.0, perf_counter() - started)

    def _compile(self, graph: Graph) -> Catalogue:
        return self._compiler.compile(graph if self._movement is None else self._movement.lay(graph))

    def _rewind(self) -> None:
        if self._served is not None:
            self._builder.resume(self._served.graph, self._served.grounds)

    @uncollected()
    def _recall(self, archive: Archive) -> tuple[Fault, ...]:
        self._served = recollect(archive, self._source, self._cache, self._builder)
        if self._served is not None:
            return ()
        self._cache, self._builder = LoadCache(), Builder()
        recalled = archive.recall()
        recalled.warm(self._cache)
        self._recalled = recalled if recalled else None
        return recalled.faults

    def _resume(self, today: Loaded | None) -> None:
        """Go on from what is on disk, once; without a fleet there, not before `today`'s is known."""
        if self._recalled is None:
            return
        restored = self._recalled.restore(today)
        if today is None and not restored.graph.edges:
            return
        self._recalled = None
        for owner, why in restored.lost.items():
            log.warning("what was last good is of no use any more", owner=owner or "the fleet", why=str(why))
        self._builder.resume(restored.graph, restored.grounds)
        self._served = Built(restored.graph, (), frozenset(), fleet_kept=True, grounds=restored.grounds)

    async def run(self, control_plane: ControlPlane) -> None:
        """Publish what the source holds, now and at every change, until cancelled. No failure ends it."""
        archive, readiness = self._archive, control_plane.readiness
        saved = archive.saved if archive is not None else lambda _: None
        outlet = _Outlet(
            control_plane,
            Reporter(control_plane.metrics, readiness, saved),
            Keeper(archive, readiness, self._pause, stamps=self._source.stamps)
            if archive is not None
            else None,
        )
        if archive is not None:
            outlet.reporter.tell_faults(await asyncio.to_thread(self._recall, archive))
        tasks: set[asyncio.Task[None]] = set()
        if outlet.keeper is not None:
            tasks.add(asyncio.create_task(outlet.keeper.run(), name="keeper"))

        def step_again() -> None:
            task = asyncio.create_task(self._step(outlet), name="release")
            tasks.add(task)
            task.add_done_callback(tasks.discard)

        if self._movement is not None:
            moving = self._movement.run(lambda: self._follow_movement(outlet))
            tasks.add(asyncio.create_task(moving, name="movement"))
        self._guard.on_release = step_again
        if self._sources is not None:
            self._sources.on_change = step_again
        changes = watch(self._source)
        try:
            await self._step(outlet)
            async for _ in changes:
                await self._step(outlet)
        finally:
            await changes.aclose()
            if self._sources is not None:
                await self._sources.stop()
            for task in tasks:
                task.cancel()
            if tasks:
                await asyncio.wait(tasks)
            if outlet.keeper is not None:
                await outlet.keeper.write()

    async def _step(self, outlet: _Outlet) -> None:
        async with self._stepping:
            first = not outlet.plane.readiness.ready
            with self._undisturbed(), uncollected() if first else nullcontext():
                published = await self._refresh_and_publish(outlet, first=first)
            if first and published:
                # What the first load made mostly lives as long as we do; walking it over and over is what would
                # make a later change slow.
                gc.collect()
                gc.freeze()

    async def _refresh_and_publish(self, outlet: _Outlet, *, first: bool) -> bool:
        """Run once; say whether there is something to serve."""
        try:
            update, prepared = await self._refresh_with(outlet, first=first)
        except Exception as error:  # noqa: BLE001 (the next change is another chance, and what is served stays)
            outlet.reporter.tell_failure(error)
            found = await self._fall_back() if first else None
            if found is None:
                return False
            update, prepared = found, NOTHING_PREPARED
            if self._sources is not None:
                self._sources.follow(update.built.graph.publishers)
            outlet.reporter.tell_fall_back()
        else:
            outlet.reporter.tell(update.built, update.load_seconds, update.compile_seconds)
            outlet.reporter.tell_held(self._guard.held)
        if not update.built.servable:
            log.error("there is no gateway to serve yet; mend the policies and save them")
            return False
        await complete(self._publish(update, prepared, outlet))
        if self._movement is not None:
            self._movement.follow(update.built.graph)
        return True

    async def _refresh_with(self, outlet: _Outlet, *, first: bool) -> tuple[Update, Sights]:
        """Run once, and once more when policy sources have been asked of which nothing was known."""
        update, prepared = await asyncio.to_thread(self._refresh_for, outlet)
        if self._sources is None:
            return update, prepared
        self._sources.follow(update.built.graph.publishers)
        if await self._sources.settle(first=first):
            again, prepared = await asyncio.to_thread(self._refresh_for, outlet)
            return replace(
                again, before=update.before
            ), prepared if update.before is None else NOTHING_PREPARED
        return update, prepared

    def _refresh_for(self, outlet: _Outlet) -> tuple[Update, Sights]:
        """Run once, and make at once what those who are there will see of it."""
        update = self.refresh()
        # What an earlier process served is part of what they may hold, and comes first.
        if update.before is not None:
            return update, NOTHING_PREPARED
        return update, outlet.plane.publisher.prepare(update.catalogue)

    async def _follow_movement(self, outlet: _Outlet) -> None:
        async with self._stepping:
            try:
                with self._undisturbed():
                    found = await asyncio.to_thread(self._move_for, outlet)
                    if found is not None:
                        await complete(self._publish(*found, outlet))
                        if self._movement is not None:
                            self._movement.follow(found[0].built.graph)
            except Exception:  # what moves next is another chance
                log.exception("what moves cannot be published; what is served stays")

    def _move_for(self, outlet: _Outlet) -> tuple[Update, Sights] | None:
        update = self.move()
        return None if update is None else (update, outlet.plane.publisher.prepare(update.catalogue))

    async def _fall_back(self) -> Update | None:
        try:
            return await asyncio.to_thread(self.fall_back)
        except Exception:
            log.exception("what was last good, on disk, cannot be compiled")
            return None

    def _undisturbed(self) -> AbstractContextManager[None]:
        """Have the archive stand back meanwhile."""
        return nullcontext() if self._archive is None else self._archive.breath.held()

    @staticmethod
    async def _publish(update: Update, prepared: Sights, outlet: _Outlet) -> None:
        if update.before is not None:
            outlet.plane.publisher.remember(update.before)
        await outlet.plane.publish(update.catalogue, prepared)
        if outlet.keeper is not None:
            outlet.keeper.note(update.built, update.text)
        log.info(
            "published",
            generation=update.catalogue.generation,
            models=len(update.built.graph.endpoints),
            seconds=round(update.load_seconds + update.compile_seconds, 4),
        )
