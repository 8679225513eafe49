"""What a measurement says, without measuring."""

from __future__ import annotations

import pytest

from bench.row import Baseline, Goal, Row, not_measured, pick, significant, spread_of
from bench.table import number, table


@pytest.mark.parametrize(
    ("percent", "value"),
    [(0, 1.0), (1, 1.0), (50, 50.0), (51, 51.0), (99, 99.0), (99.5, 100.0), (100, 100.0)],
)
def test_the_percentile_is_that_of_the_nearest_rank(percent: float, value: float) -> None:
    assert pick([float(each) for each in range(1, 101)], percent) == value


def test_the_p99_of_few_values_is_the_largest() -> None:
    spread = spread_of([3.0, 1.0, 2.0])
    assert (spread.count, spread.least, spread.p50, spread.p99, spread.most) == (3, 1.0, 2.0, 3.0, 3.0)


@pytest.mark.parametrize(
    ("goal", "value", "met"),
    [
        (Goal(8), 8.0, True),
        (Goal(8), 8.1, False),
        (Goal(0.95, least=True), 0.95, True),
        (Goal(0.95, least=True), 0.9, False),
        (Goal(0), 0.0, True),
        (Goal(8), None, None),
        (None, 8.0, None),
    ],
)
def test_a_goal_is_met_up_to_its_bound(goal: Goal | None, value: float | None, met: bool | None) -> None:
    assert Row("it", value, "ms", goal).met is met


def test_a_row_is_a_document_with_the_same_six_keys() -> None:
    row = Row("it", 7.123456, "ms", Goal(8), (Baseline("the floor", 1.0, "ms"),))
    assert row.document() == {
        "name": "it",
        "value": 7.123,
        "unit": "ms",
        "goal": {"at_most": 8},
        "met": True,
        "baseline": [{"name": "the floor", "value": 1.0, "unit": "ms"}],
    }


def test_what_was_not_measured_has_a_reason_and_no_number() -> None:
    document = not_measured("it", "s", Goal(10, least=True), "it is not there").document()
    assert document["value"] is None
    assert document["met"] is None
    assert document["goal"] == {"at_least": 10}
    assert document["note"] == "not measured: it is not there"


@pytest.mark.parametrize(
    ("value", "words"), [(0, "0"), (0.9512, "0.951"), (8.04, "8.04"), (99.96, "100"), (1234.5, "1,234")]
)
def test_numbers_have_three_digits_that_mean_something(value: float, words: str) -> None:
    assert number(value) == words


def test_numbers_in_the_results_have_four() -> None:
    assert significant(1234567.0) == 1235000.0


def test_a_table_shows_value_goal_and_what_stands_beside() -> None:
    shown = table(
        [Row("it", 9.0, "ms", Goal(8), (Baseline("the floor", 1.5, "ms"),), spread_of([8.0, 10.0]))]
    )
    cells = [each.strip() for each in shown.splitlines()[2].strip("|").split("|")]
    assert cells == ["it", "9 ms", "≤ 8 ms", "**no**", "2; 8 – 8 – 10 – 10", "the floor: 1.5 ms"]


def test_notes_follow_the_table() -> None:
    assert table([not_measured("it", "s", None, "it is not there")]).endswith(
        "- it: not measured: it is not there"
    )
