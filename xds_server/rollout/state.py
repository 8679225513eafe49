"""The state of a rollout: where it stands, since when, and why."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .observation import NO_REQUESTS, NOTHING_KNOWN, Baseline, Tally


class Phase(StrEnum):
    """What a rollout does now."""

    RUNNING = "running"
    """It goes on by itself, or waits within its step for what it needs."""
    PAUSED = "paused"
    """The share stays, the time of the step stands; gates that revert are still watched."""
    FROZEN = "frozen"
    """The share stays, and nothing is watched."""
    PROMOTED = "promoted"
    """All traffic is the new revision's: the end."""
    CANCELLED = "cancelled"
    """All traffic is the old revision's, since somebody said so."""
    REVERTED = "reverted"
    """All traffic is the old revision's, since a gate was breached."""


class Reason(StrEnum):
    """Why a rollout is where it is. Stable words: logs, metrics and tools go by them."""

    STARTED = "STARTED"
    STEP_PASSED = "STEP_PASSED"
    STEP_RUNNING = "STEP_RUNNING"
    NO_DATA = "NO_DATA"
    UNHEALTHY = "UNHEALTHY"
    ERROR_RATE = "ERROR_RATE"
    LATENCY = "LATENCY"
    COMPLETED = "COMPLETED"
    RESUMED = "RESUMED"
    RESTARTED = "RESTARTED"
    PLAN_CHANGED = "PLAN_CHANGED"
    BY_POLICY = "BY_POLICY"
    BY_COMMAND = "BY_COMMAND"

    @property
    def is_wait(self) -> bool:
        """Whether it says what a step waits for."""
        return self in (Reason.STEP_RUNNING, Reason.NO_DATA, Reason.UNHEALTHY)


@dataclass(frozen=True, slots=True)
class State:
    """Where a rollout stands.

    ``step`` is the plan's step that is watched, -1 before the first; ``percent`` the new revision's share; ``elapsed``
    how many seconds the step was watched; ``old`` and ``new`` what ended in it. ``baseline`` is what the new
    revision is compared with. ``cause`` is why the phase is what it is, ``reason`` what it
    waits for or did last, and ``words`` the latter for people. ``seen`` is the time of the last look, ``None`` for a
    state that another process left: what passes unwatched does not count.
    """

    identity: tuple[str, str]
    phase: Phase = Phase.RUNNING
    step: int = -1
    percent: int = 0
    elapsed: float = 0.0
    old: Tally = NO_REQUESTS
    new: Tally = NO_REQUESTS
    baseline: Baseline = NOTHING_KNOWN
    cause: Reason = Reason.STARTED
    reason: Reason = Reason.STARTED
    words: str = ""
    seen: float | None = None

    @property
    def active(self) -> bool:
        """Whether traffic is still to move, or may."""
        return self.phase in (Phase.RUNNING, Phase.PAUSED, Phase.FROZEN)
