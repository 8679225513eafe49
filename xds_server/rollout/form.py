"""The form of a state as plain data, for whoever keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .observation import Baseline, Tally
from .state import Phase, Reason, State


class FormError(Exception):
    """Data that is no state: what is wrong with it."""


def write_state(state: State) -> dict[str, Any]:
    """The state as JSON values. The time of the last look is left out: it means nothing to another process."""
    return {
        "from": state.identity[0],
        "to": state.identity[1],
        "phase": str(state.phase),
        "step": state.step,
        "percent": state.percent,
        "elapsed": round(state.elapsed, 3),
        "old": state.old._asdict(),
        "new": state.new._asdict(),
        "baseline": state.baseline._asdict(),
        "cause": str(state.cause),
        "reason": str(state.reason),
        "words": state.words,
    }


def read_state(data: Mapping[str, Any]) -> State:
    """The state that was written. Raises ``FormError``."""
    try:
        latency = data["baseline"]["latency"]
        return State(
            identity=(str(data["from"]), str(data["to"])),
            phase=Phase(data["phase"]),
            step=int(data["step"]),
            percent=_percent(data["percent"]),
            elapsed=float(data["elapsed"]),
            old=_tally(data["old"]),
            new=_tally(data["new"]),
            baseline=Baseline(float(data["baseline"]["rate"]), None if latency is None else float(latency)),
            cause=Reason(data["cause"]),
            reason=Reason(data["reason"]),
            words=str(data["words"]),
        )
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise FormError(f"{type(error).__name__}: {error}") from error


def _tally(data: Mapping[str, Any]) -> Tally:
    return Tally(int(data["succeeded"]), int(data["failed"]))


def _percent(value: Any) -> int:
    percent = int(value)
    if not 0 <= percent <= 100:
        raise ValueError(f"{percent} is no share in percent")
    return percent
