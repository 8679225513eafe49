"""What a measurement says: rows with a value, a goal, baselines of the same run, and the spread."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Goal:
    """A bound in the row's unit: the value is to be at most, or at least, that much."""

    bound: float
    least: bool = False

    def met_by(self, value: float) -> bool:
        return value >= self.bound if self.least else value <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.least else '≤'} {self.bound:g}"


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the same run measured of something else, in the row's unit unless it has its own."""

    name: str
    value: float
    unit: str


@dataclass(frozen=True, slots=True)
class Spread:
    """How many measurements there were and how they lie, in the row's unit."""

    count: int
    least: float
    p50: float
    p99: float
    most: float


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the results. A `value` of `None` was not measured; `note` then says why."""

    name: str
    value: float | None
    unit: str
    goal: Goal | None = None
    baselines: tuple[Baseline, ...] = ()
    spread: Spread | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; `None` without a goal or a value."""
        return None if self.goal is None or self.value is None else self.goal.met_by(self.value)

    def document(self) -> dict[str, Any]:
        """The row for `results.json`. A goal is `{at_most: …}` or `{at_least: …}`, in the row's unit."""
        goal = self.goal and {"at_least" if self.goal.least else "at_most": self.goal.bound}
        document: dict[str, Any] = {
            "name": self.name,
            "value": self.value if self.value is None else significant(self.value),
            "unit": self.unit,
            "goal": goal,
            "met": self.met,
            "baseline": [
                {"name": each.name, "value": significant(each.value), "unit": each.unit}
                for each in self.baselines
            ],
        }
        if self.spread:
            names = ("least", "p50", "p99", "most")
            spread = {name: significant(getattr(self.spread, name)) for name in names}
            document["spread"] = {"count": self.spread.count, **spread}
        if self.note:
            document["note"] = self.note
        return document


def not_measured(name: str, unit: str, goal: Goal | None, why: str) -> Row:
    """A row that says why there is no number."""
    return Row(name, None, unit, goal, note=f"not measured: {why}")


def spread_of(values: Iterable[float]) -> Spread:
    """The spread of values, of which there is at least one."""
    ordered = sorted(values)
    return Spread(len(ordered), ordered[0], pick(ordered, 50), pick(ordered, 99), ordered[-1])


def pick(ordered: list[float], percent: float) -> float:
    """The nearest-rank percentile of sorted values."""
    rank = -(-len(ordered) * percent // 100)
    return ordered[max(0, int(rank) - 1)]


def significant(value: float) -> float:
    """A number rounded to four digits that mean something."""
    return float(f"{value:.4g}")
