"""A plan: from which revision to which, in which steps, and what must hold."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .gates import NO_GATES, Gates


class Breach(StrEnum):
    """What becomes of a rollout whose new revision does worse than its gates allow."""

    PAUSE = "pause"
    REVERT = "revert"


class Wish(StrEnum):
    """What the policy says should become of the rollout."""

    RUNNING = "running"
    PAUSED = "paused"
    FROZEN = "frozen"
    PROMOTED = "promoted"
    CANCELLED = "cancelled"

    @property
    def ends(self) -> bool:
        """Whether it decides the shares by itself."""
        return self in (Wish.PROMOTED, Wish.CANCELLED)


@dataclass(frozen=True, slots=True)
class Step:
    """The new revision's share in percent, and how many seconds it is watched before the next step."""

    percent: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Plan:
    """A declared rollout. ``steps`` rise strictly and end at 100.

    ``title`` is how people read it, as ``canary 5, 25, 50, 100``.
    """

    old: str
    new: str
    title: str
    steps: tuple[Step, ...]
    gates: Gates = NO_GATES
    on_breach: Breach = Breach.PAUSE
    wish: Wish = Wish.RUNNING

    @property
    def identity(self) -> tuple[str, str]:
        """What makes it this rollout and no other: its revisions. Everything else may be edited while it runs."""
        return self.old, self.new

    @property
    def declared_percent(self) -> int:
        """The share that the policy alone decides: all or nothing. Where a rollout stands, only its state says."""
        return 100 if self.wish is Wish.PROMOTED else 0

    def find_step(self, percent: int) -> int:
        """The last step whose share is not above ``percent``; -1 before the first."""
        return sum(step.percent <= percent for step in self.steps) - 1
