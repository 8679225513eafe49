"""A witness: what is found out for one rollout beside the load reports, by asking Prometheus and the backends."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from time import monotonic
from typing import Final

import structlog

from xds_server.compiler import find_notice_seconds
from xds_server.graph import Revision
from xds_server.rollout import Gates, Observation, Plan, Query
from xds_server.server.probe import probe
from xds_server.server.prometheus import NoDataError, Prometheus

log = structlog.get_logger("fairlead.rollouts")

_PATIENCE: Final = 10.0
"""Seconds for all that is asked in one round; longer ago is no data."""
_LONGEST: Final = 5.0
_SHORTEST: Final = 0.2
_NOTHING: Final = Observation()


@dataclass(frozen=True, slots=True)
class Subject:
    """One rollout of one deployment: whose it is, its plan, and the new revision with its backends."""

    path: str
    environment: str
    plan: Plan
    new: Revision

    def name_cluster(self, revision: str) -> str:
        """The cluster of a revision of the deployment."""
        return f"{self.path}/{self.environment}/{revision}"

    def name(self, revision: str) -> dict[str, str]:
        """What stands for a revision in a query."""
        workspace, _, model = self.path.split("/")
        return {
            "cluster": self.name_cluster(revision),
            "workspace": workspace,
            "model": model,
            "environment": self.environment,
            "revision": revision,
        }


class Witness:
    """Asks again and again, a few times in a step, and says what it found last. ``roots`` are public CAs in PEM.

    What answers here may still be down for an Envoy, which checks for itself. So the new revision is healthy when it
    has answered for as long as that may take, and until then there are no data.
    """

    def __init__(
        self, subject: Subject, prometheus: Prometheus, roots: str, now: Callable[[], float] = monotonic
    ) -> None:
        self.subject = subject
        self.seen = _NOTHING
        self._prometheus = prometheus
        self._roots = roots
        self._now = now
        self._well_since: float | None = None
        self._probed = now()
        self._notice = find_notice_seconds(subject.new)
        self._pause = min(_LONGEST, max(_SHORTEST, subject.plan.steps[0].seconds / 4))

    @staticmethod
    def is_needed(gates: Gates) -> bool:
        """Whether there is anything to ask."""
        by_query = gates.error_rate is not None and gates.error_rate.query is not None
        return gates.health or gates.latency is not None or by_query

    async def run(self) -> None:
        """Ask until cancelled. What is not answered any more is no data at once."""
        while True:
            try:
                async with asyncio.timeout(_PATIENCE):
                    self.seen = await self._look()
            except TimeoutError:
                self._miss(f"no answer within {_PATIENCE:g} s")
            except Exception as error:
                log.exception("what gates look at cannot be read", model=self.subject.path)
                self._miss(f"{type(error).__name__}: {error}")
            await asyncio.sleep(self._pause)

    def _miss(self, why: str) -> None:
        self.seen, self._well_since = Observation(why=why), None

    async def _look(self) -> Observation:
        plan = self.subject.plan
        errors = plan.gates.error_rate.query if plan.gates.error_rate is not None else None
        latency = plan.gates.latency.query if plan.gates.latency is not None else None
        asked = ((errors, plan.old), (errors, plan.new), (latency, plan.old), (latency, plan.new))
        answers = await asyncio.gather(*(self._ask(query, name) for query, name in asked))
        values = [each if isinstance(each, float) else None for each in answers]
        # Of a revision without requests there may well be no series: the old one's silence is no fault at the end.
        why = next((each for each in (answers[1], answers[3]) if isinstance(each, str)), "")
        seen = Observation(
            old_rate=values[0], new_rate=values[1], old_latency=values[2], new_latency=values[3], why=why
        )
        if not plan.gates.health:
            return seen
        unhealthy = await probe(self.subject.new, self._roots)
        if unhealthy is not None:
            self._well_since = None
            return replace(seen, healthy=False, why=unhealthy)
        if self._is_noticed():
            return replace(seen, healthy=True)
        words = (
            f"every backend of the new revision answers, which an Envoy may take {self._notice:g} s to see"
        )
        return replace(seen, why=words)

    def _is_noticed(self) -> bool:
        """Whether all have answered so long by now that every Envoy must have seen it."""
        now, last = self._now(), self._probed
        self._probed = now
        if self._well_since is None or now - last > self._pause + _PATIENCE:  # nobody looked for a while
            self._well_since = now
        return now - self._well_since >= self._notice

    async def _ask(self, query: Query | None, revision: str) -> float | str | None:
        if query is None:
            return None
        try:
            return await self._prometheus.ask(query, self.subject.name(revision))
        except NoDataError as error:
            return str(error)
