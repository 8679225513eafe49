"""The state machine of rollouts, a table for each thing that may happen."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from xds_server.rollout import (
    Baseline,
    Breach,
    ErrorRate,
    Gates,
    Latency,
    NotPossibleError,
    Observation,
    Order,
    Phase,
    Plan,
    Query,
    Reason,
    State,
    Step,
    Tally,
    Wish,
    advance,
    order,
    start,
)

QUERY = Query("http://prometheus:9090", "q")
ERRORS = Gates(error_rate=ErrorRate(0.05), min_requests=10)
NOTHING = Observation()


def plan(**more: Any) -> Plan:
    steps = tuple(Step(percent, 10.0) for percent in (10, 50, 100))
    return Plan("v1", "v2", "canary 10, 50, 100", **{"steps": steps, **more})


def counted(new: Tally, old: Tally = Tally(100)) -> Observation:  # noqa: B008
    return Observation(old=old, new=new)


class Run:
    """A rollout on a clock of the test's own."""

    def __init__(self, declared: Plan) -> None:
        self.plan = declared
        self.state = start(declared)
        self.now = 1000.0

    def look(self, seen: Observation = NOTHING, after: float = 0.0) -> tuple[Phase, int, Reason]:
        self.now += after
        self.state = advance(self.plan, self.state, seen, self.now)
        return self.where

    @property
    def where(self) -> tuple[Phase, int, Reason]:
        return self.state.phase, self.state.percent, self.state.reason

    def say(self, asked: Order) -> tuple[Phase, int, Reason]:
        self.state = order(self.plan, self.state, asked)
        return self.where


def test_without_gates_time_alone_decides() -> None:
    run = Run(plan())
    assert run.look() == (Phase.RUNNING, 10, Reason.STARTED)
    assert run.look(after=9.9) == (Phase.RUNNING, 10, Reason.STEP_RUNNING)
    assert run.look(after=0.1) == (Phase.RUNNING, 50, Reason.STEP_PASSED)
    assert run.look(after=10) == (Phase.RUNNING, 100, Reason.STEP_PASSED)
    assert run.look(after=9) == (Phase.RUNNING, 100, Reason.STEP_RUNNING)
    assert run.look(after=1) == (Phase.PROMOTED, 100, Reason.COMPLETED)
    assert run.look(after=1000) == (Phase.PROMOTED, 100, Reason.COMPLETED)


def test_a_look_after_a_long_time_passes_one_step_only() -> None:
    run = Run(plan())
    run.look()
    assert run.look(after=1000) == (Phase.RUNNING, 50, Reason.STEP_PASSED)
    assert run.state.elapsed == 0


@pytest.mark.parametrize(
    ("new", "reason"),
    [
        (Tally(0, 0), Reason.NO_DATA),
        (Tally(9, 0), Reason.NO_DATA),
        (Tally(0, 9), Reason.NO_DATA),
        (Tally(10, 0), Reason.STEP_PASSED),
        (Tally(95, 5), Reason.STEP_PASSED),
        (Tally(94, 6), Reason.ERROR_RATE),
    ],
)
def test_the_error_rate_decides_once_there_are_enough_requests(new: Tally, reason: Reason) -> None:
    run = Run(plan(gates=ERRORS))
    run.look()
    assert run.look(counted(new), after=10)[2] is reason


def test_the_error_rate_is_compared_with_the_old_revision_s() -> None:
    run = Run(plan(gates=ERRORS))
    run.look()
    seen = counted(Tally(90, 10), old=Tally(90, 10))
    assert run.look(seen, after=10)[2] is Reason.STEP_PASSED
    assert run.state.baseline == Baseline(0.1)
    run.look(seen, after=10)
    # Everything is the new one's now: it is compared with what the old one last did.
    assert run.look(counted(Tally(90, 10), old=Tally()), after=10)[2] is Reason.COMPLETED


def test_a_breach_does_not_wait_for_the_end_of_a_step() -> None:
    run = Run(plan(gates=ERRORS))
    run.look()
    assert run.look(counted(Tally(0, 10)), after=0.1) == (Phase.PAUSED, 10, Reason.ERROR_RATE)
    assert run.look(counted(Tally(100)), after=1000) == (Phase.PAUSED, 10, Reason.ERROR_RATE)
    assert run.state.words == "100.00% of the new revision's requests failed, 0.00% of the old one's"


def test_what_was_counted_in_one_step_says_nothing_of_the_next() -> None:
    run = Run(plan(gates=ERRORS))
    run.look()
    assert run.look(counted(Tally(100)), after=10)[1] == 50
    assert run.look(after=10) == (Phase.RUNNING, 50, Reason.NO_DATA)


def test_a_breach_gives_back_if_told_so_also_while_it_is_paused_but_not_while_frozen() -> None:
    bad = counted(Tally(0, 10))
    run = Run(plan(gates=ERRORS, on_breach=Breach.REVERT))
    run.look()
    run.say(Order.FREEZE)
    assert run.look(bad) == (Phase.FROZEN, 10, Reason.BY_COMMAND)
    run.say(Order.PAUSE)
    assert run.look(bad) == (Phase.REVERTED, 0, Reason.ERROR_RATE)


def test_no_time_passes_while_it_is_paused() -> None:
    run = Run(plan())
    run.look()
    run.say(Order.PAUSE)
    assert run.look(after=1000) == (Phase.PAUSED, 10, Reason.BY_COMMAND)
    assert run.say(Order.RESUME) == (Phase.RUNNING, 10, Reason.RESUMED)
    assert run.look(after=9)[1] == 10
    assert run.look(after=1)[1] == 50


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (Observation(), Reason.NO_DATA),
        (Observation(new_latency=0.1), Reason.NO_DATA),
        (Observation(old_latency=0.1), Reason.NO_DATA),
        (Observation(old_latency=0.1, new_latency=0.2), Reason.STEP_PASSED),
        (Observation(old_latency=0.1, new_latency=0.21), Reason.LATENCY),
        (Observation(old_latency=2.0, new_latency=1.1), Reason.LATENCY),
    ],
)
def test_latency_has_two_bounds(seen: Observation, expected: Reason) -> None:
    run = Run(plan(gates=Gates(latency=Latency(QUERY, above=1.0, times=2.0))))
    run.look()
    assert run.look(seen, after=10)[2] is expected


def test_the_old_one_s_latency_is_remembered() -> None:
    run = Run(plan(gates=Gates(latency=Latency(QUERY, times=2.0))))
    run.look()
    run.look(Observation(old_latency=0.1, new_latency=0.1), after=10)
    assert run.look(Observation(new_latency=0.15), after=10)[2] is Reason.STEP_PASSED
    assert run.look(Observation(new_latency=0.25), after=1)[2] is Reason.LATENCY


def test_errors_may_come_from_prometheus() -> None:
    run = Run(plan(gates=Gates(error_rate=ErrorRate(0.05, QUERY))))
    run.look()
    assert run.look(counted(Tally(0, 1000)), after=10)[2] is Reason.NO_DATA
    assert run.look(Observation(new_rate=0.14, old_rate=0.1))[2] is Reason.STEP_PASSED
    assert run.look(Observation(new_rate=0.16))[2] is Reason.ERROR_RATE


@pytest.mark.parametrize(
    ("healthy", "expected"),
    [(None, (0, Reason.NO_DATA)), (False, (0, Reason.UNHEALTHY)), (True, (100, Reason.STARTED))],
)
def test_blue_green_begins_when_all_is_healthy(healthy: bool | None, expected: tuple[int, Reason]) -> None:
    run = Run(plan(steps=(Step(100, 10.0),), gates=Gates(health=True)))
    assert run.look(Observation(healthy=healthy), after=1000)[1:] == expected


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (Wish.PAUSED, (Phase.PAUSED, 10)),
        (Wish.FROZEN, (Phase.FROZEN, 10)),
        (Wish.PROMOTED, (Phase.PROMOTED, 100)),
        (Wish.CANCELLED, (Phase.CANCELLED, 0)),
    ],
)
def test_the_policy_s_wish_is_followed_and_no_order_beside_it(
    wish: Wish, expected: tuple[Phase, int]
) -> None:
    run = Run(plan())
    run.look()
    run.plan = plan(wish=wish)
    assert run.look() == (*expected, Reason.BY_POLICY)
    for asked in Order:
        with pytest.raises(NotPossibleError, match=f"the policy says `state: {wish}`"):
            run.say(asked)
    assert run.look(after=1000) == (*expected, Reason.BY_POLICY)


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        (Wish.PAUSED, (Phase.RUNNING, 10, Reason.RESUMED)),
        (Wish.FROZEN, (Phase.RUNNING, 10, Reason.RESUMED)),
        (Wish.CANCELLED, (Phase.RUNNING, 10, Reason.STARTED)),
        (Wish.PROMOTED, (Phase.PROMOTED, 100, Reason.BY_POLICY)),
    ],
)
def test_what_the_policy_wished_ends_with_the_wish(wish: Wish, expected: tuple[Phase, int, Reason]) -> None:
    run = Run(plan())
    run.look()
    run.plan = plan(wish=wish)
    run.look()
    run.plan = plan()
    run.look()
    assert (run.state.phase, run.state.percent) == expected[:2]


def test_a_pause_of_the_policy_is_no_time_that_was_watched() -> None:
    run = Run(plan(gates=ERRORS))
    run.look()
    run.plan = replace(run.plan, wish=Wish.PAUSED)
    run.look()
    run.plan = replace(run.plan, wish=Wish.RUNNING)
    assert run.look(counted(Tally(100)), after=1000)[1] == 10
    assert (run.state.elapsed, run.state.new) == (0.0, Tally())


def test_a_pause_of_a_breach_is_taken_over_by_the_policy_and_ends_with_it() -> None:
    run = Run(plan(gates=ERRORS))
    run.look()
    assert run.look(counted(Tally(0, 10)))[0] is Phase.PAUSED
    run.plan = replace(run.plan, wish=Wish.PAUSED)
    assert run.look()[2] is Reason.BY_POLICY
    run.plan = replace(run.plan, wish=Wish.RUNNING)
    run.look()
    assert run.state.cause is Reason.RESUMED


_ALLOWED = {
    Phase.RUNNING: {"pause": Phase.PAUSED, "freeze": Phase.FROZEN, "resume": Phase.RUNNING},
    Phase.PAUSED: {"pause": Phase.PAUSED, "freeze": Phase.FROZEN, "resume": Phase.RUNNING},
    Phase.FROZEN: {"pause": Phase.PAUSED, "freeze": Phase.FROZEN, "resume": Phase.RUNNING},
    Phase.PROMOTED: {"promote": Phase.PROMOTED, "cancel": Phase.CANCELLED},
    Phase.CANCELLED: {"cancel": Phase.CANCELLED, "resume": Phase.RUNNING},
    Phase.REVERTED: {"cancel": Phase.REVERTED, "resume": Phase.RUNNING},
}
for _phase in (Phase.RUNNING, Phase.PAUSED, Phase.FROZEN):
    _ALLOWED[_phase] |= {"promote": Phase.PROMOTED, "cancel": Phase.CANCELLED}


@pytest.mark.parametrize("phase", Phase)
@pytest.mark.parametrize("asked", Order)
def test_every_order_in_every_phase(phase: Phase, asked: Order) -> None:
    share = {Phase.PROMOTED: (100, 2), Phase.CANCELLED: (0, -1), Phase.REVERTED: (0, -1)}
    percent, step = share.get(phase, (10, 0))
    state = State(("v1", "v2"), phase=phase, percent=percent, step=step)
    expected = _ALLOWED[phase].get(str(asked))
    if expected is None:
        with pytest.raises(NotPossibleError, match=f"it is {phase}, and cannot be told to {asked}"):
            order(plan(), state, asked)
        return
    made = order(plan(), state, asked)
    assert made.phase is expected
    if expected is phase:
        assert made == state


def test_other_steps_leave_the_share_where_it_is() -> None:
    run = Run(plan())
    run.look()
    run.look(after=10)
    run.plan = plan(steps=tuple(Step(percent, 5.0) for percent in (20, 60, 100)))
    run.look()
    assert (run.state.percent, run.state.step, run.state.elapsed) == (50, 0, 0.0)
    assert run.look(after=5) == (Phase.RUNNING, 60, Reason.STEP_PASSED)


def test_other_revisions_are_another_rollout() -> None:
    run = Run(plan())
    run.look()
    run.plan = replace(plan(), old="v2", new="v3")
    run.look()
    assert run.state.identity == ("v2", "v3")
    assert run.where == (Phase.RUNNING, 10, Reason.STARTED)


def test_a_state_of_another_process_counts_no_time_that_nobody_watched() -> None:
    run = Run(plan())
    run.look()
    run.look(after=6)
    run.state = replace(run.state, seen=None)
    assert run.look(after=1_000_000)[1] == 10
    assert run.look(after=4)[1] == 50


def test_a_plan_that_begins_higher_is_gone_into_through_the_gates() -> None:
    """At a share below all of its steps there is something to judge by, and it is watched as long as a step."""
    run = Run(plan(gates=ERRORS))
    assert run.look() == (Phase.RUNNING, 10, Reason.STARTED)
    run.plan = plan(gates=ERRORS, steps=(Step(50, 10.0), Step(100, 10.0)))
    assert run.look(after=1) == (Phase.RUNNING, 10, Reason.STEP_RUNNING)
    assert run.look(after=10) == (Phase.RUNNING, 10, Reason.NO_DATA)
    assert run.look(counted(Tally(10)), after=1) == (Phase.RUNNING, 50, Reason.STEP_PASSED)


def test_a_plan_that_begins_higher_does_not_hide_a_breach() -> None:
    run = Run(plan(gates=ERRORS))
    run.look()
    run.plan = plan(gates=ERRORS, steps=(Step(50, 10.0), Step(100, 10.0)))
    run.look(after=1)
    assert run.look(counted(Tally(5, 5)), after=1) == (Phase.PAUSED, 10, Reason.ERROR_RATE)
