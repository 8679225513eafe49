"""The machine: one look at a rollout, or one order of an operator, and the state that follows."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from typing import Final

from .gates import Verdict, find_baseline, judge, may_enter
from .observation import NO_REQUESTS, Observation
from .plan import Breach, Plan, Wish
from .state import Phase, Reason, State

_HALTED: Final = (Phase.PAUSED, Phase.FROZEN)
_BACK: Final = (Phase.CANCELLED, Phase.REVERTED)


class Order(StrEnum):
    """What an operator may say."""

    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    CANCEL = "cancel"
    FREEZE = "freeze"


class NotPossibleError(Exception):
    """An order that cannot be followed now, and why."""


def start(plan: Plan) -> State:
    """The state of a rollout that nobody has looked at yet."""
    return State(plan.identity)


def advance(plan: Plan, state: State, seen: Observation, now: float) -> State:
    """One look: ``now`` is the time in seconds, on any clock that never goes back.

    A state of another rollout is no state of this one, which begins. At most one step is passed.
    """
    if state.identity != plan.identity:
        state = start(plan)
    watched = max(0.0, now - state.seen) if state.seen is not None else 0.0
    fitting = _obey(plan, _fit(plan, state))
    if fitting is not state:
        # What lies behind belongs to the step before, or to a pause.
        watched, seen = 0.0, replace(seen, old=NO_REQUESTS, new=NO_REQUESTS)
    state = replace(fitting, seen=now)
    if state.phase is Phase.RUNNING and state.percent == 0:
        verdict = may_enter(plan.gates, seen)
        return _wait(state, verdict) if verdict.reason else _enter(plan, state, 0, Reason.STARTED)
    if state.phase is Phase.RUNNING:
        return _run(plan, _count(plan, state, seen, watched), seen)
    if state.phase is Phase.PAUSED and plan.on_breach is Breach.REVERT:
        return _watch(plan, _count(plan, state, seen, 0.0), seen)
    return state


def order(plan: Plan, state: State, asked: Order) -> State:
    """Follow an order. Raises ``NotPossibleError``; one that is followed already changes nothing."""
    if plan.wish is not Wish.RUNNING:
        raise NotPossibleError(f"the policy says `state: {plan.wish}`, which counts; change it there")
    phase = state.phase
    match asked:
        case Order.PAUSE if phase in (Phase.RUNNING, Phase.FROZEN):
            return _halt(state, Phase.PAUSED, Reason.BY_COMMAND)
        case Order.FREEZE if phase in (Phase.RUNNING, Phase.PAUSED):
            return _halt(state, Phase.FROZEN, Reason.BY_COMMAND)
        case Order.RESUME if phase in _HALTED or phase in _BACK:
            return _resume(state)
        case Order.PROMOTE if state.active:
            return _promote(plan, state, Reason.BY_COMMAND)
        case Order.CANCEL if phase not in _BACK:
            return _go_back(state, Phase.CANCELLED, Reason.BY_COMMAND)
    if phase in _FOLLOWED[asked]:
        return state
    raise NotPossibleError(f"it is {phase}, and cannot be told to {asked}")


_FOLLOWED: Final = {
    Order.PAUSE: (Phase.PAUSED,),
    Order.FREEZE: (Phase.FROZEN,),
    Order.RESUME: (Phase.RUNNING,),
    Order.PROMOTE: (Phase.PROMOTED,),
    Order.CANCEL: _BACK,
}


def _fit(plan: Plan, state: State) -> State:
    """The state on the steps that the plan has now. The share stays what it is."""
    step = plan.find_step(state.percent)
    if step == state.step:
        return state
    return _begin(replace(state, step=step, reason=Reason.PLAN_CHANGED, words="the steps are others"))


def _obey(plan: Plan, state: State) -> State:
    """The state as the policy wishes. What the policy brought about ends when it no longer says so."""
    phase, by_policy = state.phase, state.cause is Reason.BY_POLICY
    match plan.wish:
        case Wish.PAUSED if phase is Phase.RUNNING or (phase is Phase.PAUSED and not by_policy):
            return _halt(state, Phase.PAUSED, Reason.BY_POLICY)
        case Wish.FROZEN if phase in (Phase.RUNNING, Phase.PAUSED) or (
            phase is Phase.FROZEN and not by_policy
        ):
            return _halt(state, Phase.FROZEN, Reason.BY_POLICY)
        case Wish.PROMOTED if phase is not Phase.PROMOTED:
            return _promote(plan, state, Reason.BY_POLICY)
        case Wish.CANCELLED if phase is not Phase.CANCELLED or not by_policy:
            return _go_back(state, Phase.CANCELLED, Reason.BY_POLICY)
        case Wish.RUNNING if by_policy and (phase in _HALTED or phase in _BACK):
            return _resume(state)
    return state


def _count(plan: Plan, state: State, seen: Observation, watched: float) -> State:
    old, new = state.old.plus(seen.old), state.new.plus(seen.new)
    baseline = find_baseline(plan.gates, old, state.baseline, seen)
    return replace(state, elapsed=state.elapsed + watched, old=old, new=new, baseline=baseline)


def _run(plan: Plan, state: State, seen: Observation) -> State:
    verdict = judge(plan.gates, state.new, state.baseline, seen)
    if verdict.breach:
        return _breach(plan, state, verdict)
    # A share below all steps is one of a plan before this one: it is watched as long as the first step.
    if state.elapsed < plan.steps[max(state.step, 0)].seconds:
        return _wait(state, Verdict(Reason.STEP_RUNNING))
    if verdict.reason is not None:
        return _wait(state, verdict)
    if state.step + 1 < len(plan.steps):
        return _enter(plan, state, state.step + 1, Reason.STEP_PASSED)
    return _promote(plan, state, Reason.COMPLETED)


def _watch(plan: Plan, state: State, seen: Observation) -> State:
    verdict = judge(plan.gates, state.new, state.baseline, seen)
    return _breach(plan, state, verdict) if verdict.breach and state.percent > 0 else state


def _breach(plan: Plan, state: State, verdict: Verdict) -> State:
    reason = verdict.reason or Reason.NO_DATA
    if plan.on_breach is Breach.REVERT:
        return replace(_go_back(state, Phase.REVERTED, reason), words=verdict.words)
    return replace(_halt(state, Phase.PAUSED, reason), words=verdict.words)


def _wait(state: State, verdict: Verdict) -> State:
    return replace(state, reason=verdict.reason or Reason.STEP_RUNNING, words=verdict.words)


def _enter(plan: Plan, state: State, step: int, reason: Reason) -> State:
    percent = plan.steps[step].percent
    return _begin(replace(state, step=step, percent=percent, reason=reason, words=""))


def _begin(state: State) -> State:
    """The state with nothing counted in its step yet."""
    return replace(state, elapsed=0.0, old=NO_REQUESTS, new=NO_REQUESTS)


def _halt(state: State, phase: Phase, cause: Reason) -> State:
    return replace(state, phase=phase, cause=cause, reason=cause, words="")


def _resume(state: State) -> State:
    """Go on from where it stands; the step is watched anew. What went back begins again."""
    cause = Reason.RESTARTED if state.phase in _BACK else Reason.RESUMED
    return _begin(replace(state, phase=Phase.RUNNING, cause=cause, reason=cause, words=""))


def _promote(plan: Plan, state: State, cause: Reason) -> State:
    last = len(plan.steps) - 1
    made = replace(state, phase=Phase.PROMOTED, step=last, percent=100, cause=cause, reason=cause, words="")
    return _begin(made)


def _go_back(state: State, phase: Phase, cause: Reason) -> State:
    return _begin(replace(state, phase=phase, step=-1, percent=0, cause=cause, reason=cause, words=""))
