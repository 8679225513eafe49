"""States on disk: what is written is what is read, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from xds_server.rollout import Baseline, FormError, Phase, Reason, State, Tally, read_state, write_state

STATE = State(
    ("v1", "v2"),
    phase=Phase.PAUSED,
    step=1,
    percent=25,
    elapsed=12.5,
    old=Tally(90, 3),
    new=Tally(30, 1),
    baseline=Baseline(0.01, 0.4),
    cause=Reason.LATENCY,
    reason=Reason.LATENCY,
    words="slow",
)


def test_what_is_written_is_read() -> None:
    assert read_state(write_state(STATE)) == STATE


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("phase", "walking"),
        ("reason", None),
        ("percent", 101),
        ("percent", -1),
        ("percent", "many"),
        ("old", {"succeeded": 1}),
        ("baseline", None),
        ("elapsed", []),
    ],
)
def test_what_is_no_state_is_refused(key: str, value: Any) -> None:
    with pytest.raises(FormError):
        read_state({**write_state(STATE), key: value})


def test_a_state_that_lacks_something_is_refused() -> None:
    for key in write_state(STATE):
        with pytest.raises(FormError):
            read_state({name: each for name, each in write_state(STATE).items() if name != key})
