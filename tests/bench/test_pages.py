"""The page and the plot, from rows that nobody measured."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench import page, plot, registry
from bench.registry import Scenario
from bench.results import Measured
from bench.row import Baseline, Goal, Row, not_measured

ROWS = [
    Row("fast <enough>", 4.0, "ms", Goal(8), (Baseline("floor", 1.0, "ms"), Baseline("rate", 9.0, "1/s"))),
    Row("too slow", 80.0, "ms", Goal(8)),
    Row("nothing may fail", 0.0, "", Goal(0)),
    Row("something failed", 3.0, "", Goal(0)),
    not_measured("unknown", "ratio", Goal(10, least=True), "it is not there"),
    Row("of interest", 5.0, "s"),
]


@pytest.mark.parametrize(
    ("row", "ratio"),
    [
        (Row("it", 4.0, "ms", Goal(8)), 0.5),
        (Row("it", 80.0, "ms", Goal(8)), 10.0),
        (Row("it", 40.0, "", Goal(10, least=True)), 0.25),
        (Row("it", None, "", Goal(10)), None),
    ],
)
def test_a_ratio_below_one_is_better_than_the_goal(row: Row, ratio: float | None) -> None:
    assert plot.ratio_of(row) == ratio


def test_the_plot_has_a_bar_for_each_measured_goal() -> None:
    tree = ElementTree.fromstring(plot.draw(ROWS))
    space = "{http://www.w3.org/2000/svg}"
    bars = list(tree.iter(f"{space}rect"))[1:]
    assert len(bars) == 4
    words = [each.text for each in tree.iter(f"{space}text")]
    assert "fast <enough>" in words
    assert "of interest" not in words
    assert words.count("not measured") == 1
    # Only a baseline in the row's own unit can be told on its axis.
    assert [each.text for each in tree.iter(f"{space}title")] == ["floor: 1 ms"]


def _page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[Row]) -> str:
    monkeypatch.setattr(page, "FINDINGS", tmp_path)
    scenario = Scenario("it", "How fast it is", "It is run.\n\nAnd again.", "How slow it is.", lambda _: rows)
    return page.text([Measured(scenario, rows, 60.0)], "A machine.")


def test_the_page_counts_goals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = _page(tmp_path, monkeypatch, ROWS)
    assert "Of 5 goals 2 are met, 2 are not, 1 could not be measured." in text
    assert "What this does not show: How slow it is." in text


def test_a_goal_that_is_not_met_has_its_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Not looked into yet." in _page(tmp_path, monkeypatch, ROWS)
    (tmp_path / "it.md").write_text("It waits.\n")
    assert "### Why a goal is not met\n\nIt waits." in _page(tmp_path, monkeypatch, ROWS)


def test_findings_of_met_goals_are_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "it.md").write_text("It waits.\n")
    assert "It waits." not in _page(tmp_path, monkeypatch, ROWS[:1])


def test_each_scenario_says_what_it_does_and_what_it_does_not_show() -> None:
    found = registry.scenarios()
    assert [each.name for each in found] == list(registry.NAMES)
    assert all(each.title and each.about and each.limits for each in found)


def test_findings_belong_to_scenarios() -> None:
    assert {each.stem for each in page.FINDINGS.glob("*.md")} <= set(registry.NAMES)
