"""What is drawn at random, as revisions and places are by Envoy: whether a count can be told from bad luck."""

from __future__ import annotations

from math import log

_NATS = 25.0
"""A count is refused only if it, or one farther off, comes about by chance less than once in e^25 runs: 7e10."""


def is_likely(met: int, of: int, expected: float) -> bool:
    """Whether so many of all is what chance makes of what is expected of all of them.

    By Chernoff's bound, which holds for any number, small ones too, and for draws that are not equally likely:
    `expected` is the sum of their chances.
    """
    return of * _differ(met / of, expected / of) <= _NATS


def _differ(share: float, chance: float) -> float:
    """The Kullback-Leibler divergence of two shares: what a draw tells of which of them it comes from."""
    return _part(share, chance) + _part(1 - share, 1 - chance)


def _part(share: float, chance: float) -> float:
    if share <= 0:
        return 0.0
    return share * log(share / chance) if chance > 0 else float("inf")
