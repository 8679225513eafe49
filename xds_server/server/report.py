"""The report: what one run of the pipeline found, in the log, the metrics and `/readyz`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

import structlog

from xds_server.archive import Fault
from xds_server.graph import Built
from xds_server.policy import Diagnostic
from xds_server.server.guard import Held
from xds_server.server.metrics import Metrics
from xds_server.server.readiness import Readiness

log = structlog.get_logger("fairlead.pipeline")

_SHOWN: Final = 20


class Reporter:
    """Tells of one update after the other. `saved` says since when an owner's last good state is what it is."""

    def __init__(
        self,
        metrics: Metrics,
        readiness: Readiness,
        saved: Callable[[str | None], str | None] = lambda _: None,
    ) -> None:
        self._metrics = metrics
        self._readiness = readiness
        self._saved = saved
        self._since: dict[str | None, str] = {}
        self._held: str | None = None
        self._failure: str | None = None

    def tell_faults(self, faults: Sequence[Fault]) -> None:
        """Tell what could not be used of the archive."""
        told = [str(each) for each in faults]
        for each in faults:
            log.warning(
                "a last good state cannot be used", path=str(each.path), reason=each.reason, hint=each.remedy
            )
        self._readiness.note("archive", "; ".join(told) or None)

    def tell_failure(self, error: Exception) -> None:
        """Tell that the policies cannot be had at all; once, as long as it is for the same reason."""
        away = isinstance(error, OSError)
        problem = f"cannot be read: {error}" if away else f"{type(error).__name__}: {error}"
        self._readiness.note("policies", problem)
        if problem == self._failure:
            return
        self._failure = problem
        if away:  # a folder that is away is no fault of ours: its name says more than a traceback
            log.error("cannot read the policies; what is served stays as it is", reason=str(error))
            return
        log.error("cannot read or compile the policies; what is served stays as it is", exc_info=error)

    def tell_fall_back(self) -> None:
        """Tell that what is served comes from disk, all of it."""
        states = f"as everything last was (the fleet: {self._saved(None)}), since {_now()}"
        self._readiness.note("served", f"{states}: the policies cannot be read")
        log.warning("served is what was last good, from disk", fleet=self._saved(None))

    def tell(self, built: Built, load_seconds: float, compile_seconds: float) -> None:
        """Tell how long it took, what is wrong, and what is therefore served as it was."""
        self._failure = None
        self._readiness.note("served", None)
        self._metrics.load_seconds.observe(load_seconds)
        self._metrics.compile_seconds.observe(compile_seconds)
        found, errors = built.diagnostics, built.errors
        self._metrics.diagnostics.labels("error").set(len(errors))
        self._metrics.diagnostics.labels("warning").set(len(found) - len(errors))
        for each in found[:_SHOWN]:
            log_diagnostic(each)
        if len(found) > _SHOWN:
            log.warning("more findings; `fairlead validate` shows all", more=len(found) - _SHOWN)
        problem = f"{len(errors)} errors in the policies; the first: {errors[0]}" if errors else None
        self._readiness.note("policies", problem)
        kept = [*sorted(built.kept)] + ([None] if built.fleet_kept else [])
        self._tell_kept(built, kept)

    def _tell_kept(self, built: Built, kept: list[str | None]) -> None:
        for owner in [each for each in self._since if each not in kept]:
            del self._since[owner]
            self._readiness.note(_subject(owner), None)
        served = []
        for owner in kept:
            since = self._since.setdefault(owner, _now())
            there = owner in built.graph.tenants if owner is not None else bool(built.graph.edges)
            why = next((each for each in built.errors if _concerns(each, owner)), None)
            if there:
                saved = self._saved(owner)
                state = f"as it last was ({saved})" if saved else "as it last was"
                served.append(_subject(owner) + (f", {saved}" if saved else ""))
            else:
                state = "not served: it never was without an error here"
            self._readiness.note(_subject(owner), f"{state}, since {since}: {why}")
        if served:
            log.warning("kept at the last good state", what=served)

    def tell_held(self, held: Held | None) -> None:
        """Tell what the guard holds, or that it holds nothing any more."""
        self._metrics.held.labels("clusters").set(len(held.loss.clusters.names) if held else 0)
        self._metrics.held.labels("listeners").set(len(held.loss.listeners.names) if held else 0)
        if held is None:
            if self._held is not None:
                log.info("nothing is held any more")
            self._held = None
            self._readiness.note("guard", None)
            return
        self._held = held.digest
        hint = "mend the policies, or let it through: fairlead release " + held.digest
        log.error("held, since so much would vanish at once; it stays as it was", what=str(held), hint=hint)
        self._readiness.note("guard", f"held since {held.since}: {held}; {hint}")


def _subject(owner: str | None) -> str:
    return "the fleet's own manifests" if owner is None else f"workspace {owner}"


def _concerns(diagnostic: Diagnostic, owner: str | None) -> bool:
    return diagnostic.breaks_fleet if owner is None else diagnostic.breaks(owner)


def log_diagnostic(diagnostic: Diagnostic) -> None:
    """Tell of one mistake in the policies."""
    tell = log.error if diagnostic.is_error else log.warning
    tell(
        diagnostic.message,
        code=diagnostic.code,
        at=str(diagnostic.position),
        object=diagnostic.object,
        hint=diagnostic.hint,
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
