"""A split scaled to parts of one whole: shares are kept, and a change moves what it must."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xds_server.graph.traffic import PARTS, scale

_SPLITS = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.integers(1, 2**32 - 1), min_size=1)


def _lay(split: list[tuple[str, int]]) -> list[str]:
    """Who owns each part."""
    return [name for name, parts in scale(split) for _ in range(parts)]


@given(_SPLITS)
def test_shares_are_kept(split: dict[str, int]) -> None:
    parts = dict(scale(list(split.items())))
    total = sum(split.values())
    assert sum(parts.values()) == PARTS
    assert min(parts.values()) >= 1
    for name, weight in split.items():
        # Each of the smallest is given one part, which the others have less.
        assert abs(parts[name] - PARTS * weight / total) <= 1 + len(split)


@given(_SPLITS, st.randoms(use_true_random=False))
def test_the_order_in_a_file_counts_for_nothing(split: dict[str, int], chance: object) -> None:
    shuffled = list(split.items())
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert scale(shuffled) == scale(sorted(shuffled))


@given(st.integers(1, 99), st.integers(1, 99))
def test_between_two_only_the_difference_moves(one: int, other: int) -> None:
    before = _lay([("new", one), ("old", 100 - one)])
    after = _lay([("old", 100 - other), ("new", other)])
    moved = [(was, now) for was, now in zip(before, after, strict=True) if was != now]
    assert len(moved) == abs(one - other) * PARTS // 100
    assert len(set(moved)) <= 1


@pytest.mark.parametrize(
    ("split", "parts"),
    [
        ([("v1", 90), ("v2", 10)], (("v1", 9000), ("v2", 1000))),
        ([("v2", 1), ("v1", 2)], (("v1", 6667), ("v2", 3333))),
        ([("c", 1), ("b", 1), ("a", 1)], (("a", 3334), ("b", 3333), ("c", 3333))),
        ([("v1", 10**9), ("v2", 1)], (("v1", 9999), ("v2", 1))),
        ([("v1", 5)], (("v1", PARTS),)),
    ],
)
def test_scaled(split: list[tuple[str, int]], parts: tuple[tuple[str, int], ...]) -> None:
    assert scale(split) == parts
