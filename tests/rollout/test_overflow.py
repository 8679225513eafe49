"""When a share goes to the next place, and when it comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xds_server.rollout import AT_HOME, Overflow, Pressure, Spill, decide

OVERFLOW = Overflow(above=64, below=48, share=30)


@pytest.mark.parametrize(
    ("last", "pressure", "expected"),
    [
        (AT_HOME, (64, 0), AT_HOME),
        (AT_HOME, (65, 0), Spill(True)),
        # What is in progress elsewhere while nothing spills is failover, and no reason to spill.
        (AT_HOME, (10, 500), AT_HOME),
        (Spill(True), (44, 4), Spill(True)),
        (Spill(True), (33, 14), Spill(True, 100.0)),
        (Spill(True, 91.0), (33, 14), Spill(True, 91.0)),
        (Spill(True, 90.0), (33, 14), AT_HOME),
        (Spill(True, 90.0), (34, 14), Spill(True)),
    ],
)
def test_a_look(last: Spill, pressure: tuple[int, int], expected: Spill) -> None:
    assert decide(OVERFLOW, last, Pressure(*pressure), now=100.0, interval=10.0) == expected


@given(st.integers(49, 1000))
def test_a_steady_load_does_not_go_to_and_fro(load: int) -> None:
    """Home is relieved by what spills: were that all that counts, it would come back at once."""
    state, turns = AT_HOME, 0
    for now in range(0, 1000, 10):
        spilt = load * OVERFLOW.share // 100 if state.spilling else 0
        last, state = state, decide(OVERFLOW, state, Pressure(load - spilt, spilt), float(now), 10.0)
        turns += state.spilling != last.spilling
    assert turns == (1 if load > OVERFLOW.above else 0)


@pytest.mark.parametrize("last", [Spill(True), Spill(True, 0.0)])
def test_nothing_is_calm_as_long_as_somebody_was_not_heard(last: Spill) -> None:
    assert decide(OVERFLOW, last, Pressure(0, 0), now=100.0, interval=None) == Spill(True)
    assert decide(OVERFLOW, AT_HOME, Pressure(65, 0), now=100.0, interval=None) == Spill(True)
