"""Whatever is seen and said, in whatever order: what must hold of a rollout at all times."""

from __future__ import annotations

import json
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from xds_server.rollout import (
    Breach,
    ErrorRate,
    Gates,
    NotPossibleError,
    Observation,
    Order,
    Phase,
    Plan,
    Reason,
    Step,
    Tally,
    Wish,
    advance,
    order,
    read_state,
    start,
    write_state,
)

SHARES = st.lists(st.integers(1, 99), unique=True, max_size=4).map(lambda found: (*sorted(found), 100))
TALLIES = st.builds(Tally, st.integers(0, 20), st.integers(0, 20))
GATES = Gates(error_rate=ErrorRate(0.1), min_requests=10)


class Rollout(RuleBasedStateMachine):
    """A control plane that looks, is told, is killed and comes back; and a plan that is edited meanwhile."""

    @initialize(shares=SHARES, health=st.booleans(), breach=st.sampled_from(Breach))
    def declare(self, shares: tuple[int, ...], health: bool, breach: Breach) -> None:
        gates = replace(GATES, health=health)
        self.plan = Plan("v1", "v2", "t", tuple(Step(each, 10.0) for each in shares), gates, breach)
        self.state = start(self.plan)
        self.now = 0.0
        self.watched = 0.0
        self.kept = write_state(self.state)

    @rule(
        after=st.floats(0, 30),
        new=TALLIES,
        old=TALLIES,
        healthy=st.sampled_from([None, False, True]),
    )
    def look(self, after: float, new: Tally, old: Tally, healthy: bool | None) -> None:
        before = self.state
        self.now += after
        seen = Observation(old=old, new=new, healthy=healthy)
        self.state = state = advance(self.plan, before, seen, self.now)
        if before.seen is not None and before.phase is Phase.RUNNING:
            self.watched += after
        if state.percent > before.percent and self.plan.wish is Wish.RUNNING:
            self._rose(before.percent, healthy)
        if state.reason is Reason.ERROR_RATE and before.reason is not Reason.ERROR_RATE:
            expected = Phase.REVERTED if self.plan.on_breach is Breach.REVERT else Phase.PAUSED
            assert state.phase is expected
        # A look that nothing happened between two of changes nothing but the time.
        again = advance(self.plan, state, Observation(healthy=healthy), self.now)
        assert again.percent >= state.percent or again.phase is Phase.REVERTED
        if (state.percent, state.phase) != (before.percent, before.phase):
            self.kept = write_state(state)
            self.watched = 0.0

    def _rose(self, before: int, healthy: bool | None) -> None:
        """The share rose by itself: by one step, and not unless all was well."""
        shares = [each.percent for each in self.plan.steps]
        assert self.state.percent == min(each for each in shares if each > before)
        if self.plan.gates.health:
            assert healthy
        if before:
            assert self.watched >= 10.0 - 1e-6

    @rule(asked=st.sampled_from(Order))
    def say(self, asked: Order) -> None:
        before = self.state
        try:
            self.state = order(self.plan, before, asked)
        except NotPossibleError:
            assert self.state is before
            return
        assert self.plan.wish is Wish.RUNNING
        if self.state != before:
            self.kept = write_state(self.state)
            self.watched = 0.0

    @rule(wish=st.sampled_from(Wish))
    def edit(self, wish: Wish) -> None:
        self.plan = replace(self.plan, wish=wish)

    @rule()
    def be_killed(self) -> None:
        """What is on disk is what was written at the last thing that happened."""
        happened = self.state
        self.state = read_state(json.loads(json.dumps(self.kept)))
        assert (self.state.phase, self.state.percent, self.state.step) == (
            happened.phase,
            happened.percent,
            happened.step,
        )
        self.watched = self.state.elapsed

    @invariant()
    def the_share_is_that_of_the_phase(self) -> None:
        state = self.state
        assert self.plan.find_step(state.percent) == state.step
        if state.phase is Phase.PROMOTED:
            assert state.percent == 100
        if state.phase in (Phase.CANCELLED, Phase.REVERTED):
            assert state.percent == 0
        assert state.active or state.elapsed == 0.0


TestRollout = Rollout.TestCase
TestRollout.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
