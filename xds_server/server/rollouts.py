"""The conductor of rollouts: looks at each now and then, keeps where it stands, says what is laid over the graph."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from time import monotonic
from typing import Any, Final

import structlog

from xds_server.archive import Journal
from xds_server.graph import Endpoint, Graph, Moved
from xds_server.rollout import (
    FormError,
    Observation,
    Order,
    Phase,
    State,
    advance,
    order,
    read_state,
    start,
    write_state,
)
from xds_server.server.attention import Attention
from xds_server.server.memory import Memory, join_deployment, split_deployment
from xds_server.server.metrics import Metrics
from xds_server.server.prometheus import Prometheus
from xds_server.server.readiness import Readiness
from xds_server.server.rollout_log import Key, differs, name_of, tell
from xds_server.server.tallies import Tallies
from xds_server.server.witness import Subject, Witness
from xds_server.shards import EMPTY, Shards

log = structlog.get_logger("fairlead.rollouts")

EVERY: Final = 0.5
"""Seconds between two looks."""
_KEEP_SECONDS: Final = 2.0
"""Between two writes of what merely goes on within a step: as much of it is watched again after a crash."""
_MISSED_SECONDS: Final = 300.0
"""How long a rollout is remembered whose model is gone: files are taken away and put back."""


class UnknownRolloutError(Exception):
    """There is no rollout of this deployment."""


class Rollouts:
    """All rollouts that the graph declares. ``on_move`` is called when traffic is to move.

    Without a ``journal`` they begin anew with each process. ``roots`` are public CAs in PEM. One event loop at a time.
    """

    def __init__(
        self,
        metrics: Metrics,
        readiness: Readiness,
        roots: str,
        journal: Journal | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self.tallies = Tallies()
        self.on_move: Callable[[], None] = lambda: None
        self.moved: Mapping[str, tuple[tuple[str, Moved], ...]] = {}
        """By path, how far its rollouts have come. Replaced, never changed: another thread reads it."""
        self._metrics = metrics
        self._roots = roots
        self._memory = Memory("rollouts", "go on from where they last stood", readiness, journal, now)
        self._now = now
        self._attention = Attention(now)
        self._endpoints: Shards[Endpoint] = EMPTY
        self._subjects: dict[Key, Subject] = {}
        self._states: dict[Key, State] = {}
        self._witnesses: dict[Key, tuple[Witness, asyncio.Task[None]]] = {}
        self._prometheus: Prometheus | None = None
        self._missed: dict[Key, float] = {}
        """Of those whose endpoint is not there: since when."""
        self._kept = 0.0
        self._dropped = False
        self._recall()

    def _recall(self) -> None:
        for name, data in self._memory.recall().items():
            path, environment = split_deployment(name)
            try:
                self._states[path, environment] = state = read_state(data)
            except FormError as error:
                log.warning(
                    "a rollout that is kept cannot be read; it begins anew", name=name, reason=str(error)
                )
            else:
                self._metrics.tell_rollout(path, environment, state)
        self._tell_moved()

    def follow(self, graph: Graph) -> None:
        """Take note of the graph that is served from now on."""
        changed, gone = graph.endpoints.since(self._endpoints)
        self._endpoints = graph.endpoints
        stale = changed | gone
        for key in [key for key in self._subjects if key[0] in stale]:
            del self._subjects[key]
        for path in changed:
            self._subjects |= {(each.path, each.environment): each for each in _find(graph.endpoints[path])}
        for key in self._states.keys() - self._subjects.keys():
            if key[0] in self._endpoints:
                self._forget(key)
            else:  # its file may be away for a moment only
                self._missed.setdefault(key, self._now())
                # The time until it is back is none in which it was watched.
                self._states[key] = replace(self._states[key], seen=None)
        self._missed = {key: since for key, since in self._missed.items() if key not in self._subjects}
        self._watch()
        self._tell_moved()  # lest one that is declared anew begins where the last one stood

    def _forget(self, key: Key) -> None:
        log.info("rollout is declared no more", **name_of(key), phase=str(self._states.pop(key).phase))
        self._metrics.forget_rollout(*key)
        self._missed.pop(key, None)
        self._dropped = True

    def _watch(self) -> None:
        """Watch those that still move, and those only."""
        active = {key: each for key, each in self._subjects.items() if self._state(key).active}
        self.tallies.watch(
            {each.name_cluster(name) for each in active.values() for name in each.plan.identity}
        )
        asking = {key: each for key, each in active.items() if Witness.is_needed(each.plan.gates)}
        for key in [key for key, (known, _) in self._witnesses.items() if known.subject != asking.get(key)]:
            self._witnesses.pop(key)[1].cancel()
        for key in asking.keys() - self._witnesses.keys():
            self._prometheus = self._prometheus or Prometheus()
            witness = Witness(asking[key], self._prometheus, self._roots)
            task = asyncio.get_running_loop().create_task(witness.run(), name="witness")
            self._witnesses[key] = witness, task

    async def run(self) -> None:
        """Look again and again, until cancelled."""
        try:
            while True:
                try:
                    await self.look()
                except Exception:  # the next look is another chance, and traffic stays where it is
                    log.exception("cannot look at the rollouts")
                await asyncio.sleep(EVERY)
        finally:
            await self._keep()
            for _, task in self._witnesses.values():
                task.cancel()
            self._witnesses.clear()
            if self._prometheus is not None:
                await self._prometheus.close()

    async def look(self) -> None:
        """Look at each rollout once."""
        for key in [key for key, since in self._missed.items() if self._now() - since >= _MISSED_SECONDS]:
            self._forget(key)
        before, watched = dict(self._states), self._attention.look()
        for key, subject in self._subjects.items():
            seen = self._observe(key, subject)
            self._states[key] = advance(subject.plan, self._state(key), seen, watched)
        await self._settle(before)

    async def command(self, key: Key, asked: Order) -> dict[str, Any]:
        """Follow an operator's order, and describe what came of it.

        Raises ``UnknownRolloutError`` and ``NotPossibleError``.
        """
        subject = self._subjects.get(key)
        if subject is None:
            raise UnknownRolloutError
        before = dict(self._states)
        self._states[key] = order(subject.plan, self._state(key), asked)
        told = self.describe_one(key)  # a look may take it further while this is written down
        await self._settle(before)
        return told

    async def _settle(self, before: Mapping[Key, State]) -> None:
        """Keep, tell and publish what is different now. What is published is on disk before."""
        stirred = [key for key, state in self._states.items() if differs(before.get(key), state)]
        for key in stirred:
            tell(key, before.get(key), self._states[key])
            self._metrics.tell_rollout(*key, self._states[key])
            self._metrics.rollout_events.labels(str(self._states[key].reason)).inc()
        if stirred:
            self._watch()
            self._begin_steps(before, stirred)
        if stirred or self._dropped or self._is_due():
            await self._keep()
        self._tell_moved()

    def _begin_steps(self, before: Mapping[Key, State], stirred: list[Key]) -> None:
        """Have nothing counted for a step that was reported before it began."""
        for key in stirred:
            state, last = self._states[key], before.get(key)
            if last is None or (state.step, state.phase, state.cause) != (last.step, last.phase, last.cause):
                for name in state.identity:
                    self.tallies.begin(self._subjects[key].name_cluster(name))

    def _tell_moved(self) -> None:
        moved: dict[str, list[tuple[str, Moved]]] = defaultdict(list)
        for (path, environment), state in sorted(self._states.items()):
            moved[path].append((environment, Moved(*state.identity, state.percent)))
        told = {path: tuple(each) for path, each in moved.items()}
        if told != self.moved:
            self.moved = told
            self.on_move()

    def _is_due(self) -> bool:
        """Whether to write though nothing stirred: what was refused, or how long a step has been watched."""
        if self._memory.refused:
            return self._memory.due
        active = any(each.active for each in self._states.values())
        return active and self._now() - self._kept >= _KEEP_SECONDS

    async def _keep(self) -> None:
        # Going back must work on a full disk too; what is lost with a crash is done once more.
        self._kept, self._dropped = self._now(), False
        await self._memory.keep(self._write)

    def _write(self) -> dict[str, Any]:
        return {join_deployment(*key): write_state(state) for key, state in self._states.items()}

    def _state(self, key: Key) -> State:
        plan = self._subjects[key].plan
        state = self._states.get(key)
        return state if state is not None and state.identity == plan.identity else start(plan)

    def _observe(self, key: Key, subject: Subject) -> Observation:
        plan, witness = subject.plan, self._witnesses.get(key)
        seen = witness[0].seen if witness is not None else Observation()
        old, new = (self.tallies.take(subject.name_cluster(name)) for name in plan.identity)
        return replace(seen, old=old, new=new)

    def describe(self) -> list[dict[str, Any]]:
        """Describe all rollouts, by name."""
        return [self.describe_one(key) for key in sorted(self._subjects)]

    def describe_one(self, key: Key) -> dict[str, Any]:
        """Describe one rollout. Raises ``UnknownRolloutError``."""
        subject = self._subjects.get(key)
        if subject is None:
            raise UnknownRolloutError
        plan, state = subject.plan, self._state(key)
        told = write_state(state)
        stands = state.phase is Phase.RUNNING and 0 <= state.step < len(plan.steps)
        seconds = plan.steps[state.step].seconds if stands else None
        return {
            "path": key[0],
            "environment": key[1],
            "plan": plan.title,
            "steps": [each.percent for each in plan.steps],
            "policy": str(plan.wish),
            **told,
            "stepSeconds": seconds,
        }


def _find(endpoint: Endpoint) -> Iterator[Subject]:
    if endpoint.unbuilt is not None:  # nothing is put off of what moves
        return
    for each in endpoint.deployments:
        if each.rollout is not None:
            new = next(revision for revision in each.revisions if revision.name == each.rollout.new)
            yield Subject(endpoint.path, each.environment, each.rollout, new)
