"""The pipeline: read → load → build → compile → publish, once at the start and again at every change."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

import certifi
import structlog

from xds_server.compiler import Compiler
from xds_server.graph import Builder, Built
from xds_server.policy import Diagnostic, LoadCache, load
from xds_server.server.control_plane import ControlPlane
from xds_server.snapshot import Catalogue
from xds_server.sources import SourceText

log = structlog.get_logger("fairlead.pipeline")

_SHOWN = 20


class Source(Protocol):
    """Where policies come from."""

    def read(self) -> SourceText:
        """The policies as they are now. Raises ``OSError`` if they can't be read at all."""

    def changes(self) -> AsyncIterator[None]:
        """Yields whenever they may have changed."""


@dataclass(frozen=True, slots=True)
class Update:
    """What one run of the pipeline made, and how long it took in seconds."""

    catalogue: Catalogue
    built: Built
    load_seconds: float
    compile_seconds: float


class Pipeline:
    """Turns a source's policies into catalogues, and keeps from one run to the next what did not change."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._cache = LoadCache()
        self._builder = Builder()
        self._compiler = Compiler(certifi.contents())

    def refresh(self) -> Update:
        """Run once. Bad policies are no failure: they are in ``built.diagnostics``, and what was good stays.

        Raises whatever ``Source.read`` raises.
        """
        started = perf_counter()
        text = self._source.read()
        loaded = load(text.files, text.attachments, self._cache, unreadable=text.problems)
        read = perf_counter()
        built = self._builder.build(loaded)
        catalogue = self._compiler.compile(built.graph)
        return Update(catalogue, built, read - started, perf_counter() - read)

    async def run(self, control_plane: ControlPlane) -> None:
        """Publish what the source holds, now and at every change, until cancelled. No failure ends it."""
        changes = self._source.changes()
        try:
            await self._step(control_plane)
            async for _ in changes:
                await self._step(control_plane)
        finally:
            if isinstance(changes, AsyncGenerator):
                await changes.aclose()

    async def _step(self, control_plane: ControlPlane) -> None:
        try:
            update = await asyncio.to_thread(self.refresh)
        except OSError as error:
            # A folder that is away is no fault of ours: its name says more than a traceback.
            log.error("cannot read the policies; what is served stays as it is", reason=str(error))  # noqa: TRY400
            control_plane.readiness.note("policies", f"cannot be read: {error}")
            return
        except Exception as error:  # the next change is another chance, and what is served stays
            log.exception("cannot read or compile the policies; what is served stays as it is")
            control_plane.readiness.note("policies", f"{type(error).__name__}: {error}")
            return
        _report(update, control_plane)
        if not update.built.servable:
            log.error("there is no gateway to serve yet; mend the policies and save them")
            return
        first = not control_plane.readiness.ready
        await control_plane.publish(update.catalogue)
        if first:
            # What the first load made mostly lives as long as we do; walking it over and over is what would
            # make a later change slow.
            gc.collect()
            gc.freeze()
        log.info(
            "published",
            generation=update.catalogue.generation,
            models=sum(len(tenant.endpoints) for tenant in update.built.graph.tenants.values()),
            seconds=round(update.load_seconds + update.compile_seconds, 4),
        )


def _report(update: Update, control_plane: ControlPlane) -> None:
    found = update.built.diagnostics
    errors = update.built.errors
    metrics = control_plane.metrics
    metrics.load_seconds.observe(update.load_seconds)
    metrics.compile_seconds.observe(update.compile_seconds)
    metrics.diagnostics.labels("error").set(len(errors))
    metrics.diagnostics.labels("warning").set(len(found) - len(errors))
    for each in found[:_SHOWN]:
        _log_diagnostic(each)
    if len(found) > _SHOWN:
        log.warning("more findings; `fairlead validate` shows all", more=len(found) - _SHOWN)
    kept = sorted(update.built.kept)
    if kept or update.built.fleet_kept:
        what = ["the fleet's own manifests"] if update.built.fleet_kept else []
        what += [f"workspace {name}" for name in kept]
        log.warning("kept at the last good state", what=what)
    problem = f"{len(errors)} errors in the policies; the first: {errors[0]}" if errors else None
    control_plane.readiness.note("policies", problem)


def _log_diagnostic(diagnostic: Diagnostic) -> None:
    tell = log.error if diagnostic.is_error else log.warning
    tell(
        diagnostic.message,
        code=diagnostic.code,
        at=str(diagnostic.position),
        object=diagnostic.object,
        hint=diagnostic.hint,
    )
