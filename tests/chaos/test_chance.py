"""A count that chance may make is told from one that something else has made."""

from __future__ import annotations

import pytest

from tests.chaos.chance import is_likely


@pytest.mark.parametrize(
    ("met", "of", "expected"),
    [(0, 10, 0), (10, 10, 10), (250, 1000, 200), (13, 900, 2.7), (3, 200, 20), (45, 200, 20)],
)
def test_what_chance_may_make_passes(met: int, of: int, expected: float) -> None:
    assert is_likely(met, of, expected)


@pytest.mark.parametrize(
    ("met", "of", "expected"),
    [
        (1, 10, 0),
        (9, 10, 10),
        (333, 1000, 200),
        (333, 1000, 100),
        (500, 1000, 700),
        (30, 900, 2.7),
        (180, 360, 90),
    ],
)
def test_what_it_does_not_make_in_a_lifetime_does_not(met: int, of: int, expected: float) -> None:
    assert not is_likely(met, of, expected)
