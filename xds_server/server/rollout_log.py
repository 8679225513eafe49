"""What happens to rollouts, in the log."""

from __future__ import annotations

from typing import Final

import structlog

from xds_server.rollout import Reason, State

log = structlog.get_logger("fairlead.rollouts")

Key = tuple[str, str]
"""The path of an endpoint, and the environment."""

_WORRYING: Final = (Reason.ERROR_RATE, Reason.LATENCY, Reason.UNHEALTHY, Reason.NO_DATA)


def differs(before: State | None, state: State) -> bool:
    """Whether something happened, beyond time that passed and requests that were counted."""
    if before is None:
        return True
    same = (before.phase, before.step, before.percent) == (state.phase, state.step, state.percent)
    if state.reason is Reason.STEP_RUNNING and same:
        return False
    return any(
        getattr(before, each) != getattr(state, each)
        for each in ("identity", "phase", "step", "percent", "cause", "reason")
    )


def tell(key: Key, before: State | None, state: State) -> None:
    """Tell of a state that is another than before."""
    say = log.warning if state.reason in _WORRYING else log.info
    say(
        "rollout",
        **name_of(key),
        old=state.identity[0],
        new=state.identity[1],
        phase=str(state.phase),
        percent=state.percent,
        was=before.percent if before is not None else None,
        reason=str(state.reason),
        words=state.words or None,
    )


def name_of(key: Key) -> dict[str, str]:
    """How lines name a rollout."""
    return {"model": key[0], "environment": key[1]}
