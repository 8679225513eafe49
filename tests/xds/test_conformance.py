"""Every row is shown by a test, or says why it does not concern Fairlead; the page says so."""

from __future__ import annotations

from tests.xds.conformance import stale
from tests.xds.conformance_page import PAGE, read, render
from tests.xds.requirement import claims, requirements, rows_in

CLAIMED = {row for rows in claims().values() for row in rows}
CLAIMED_HERE = {row for test, rows in claims().items() if test.startswith("tests/xds/") for row in rows}


def test_all_rows_are_listed_once() -> None:
    assert len(requirements()) == 183
    assert all(set(row.way) <= {"R", "E", "G", "U", "bench"} for row in requirements().values())


def test_every_applicable_row_has_a_test() -> None:
    assert [
        row.id for row in requirements().values() if not row.not_applicable and row.id not in CLAIMED
    ] == []


def test_rows_for_raw_clients_grpc_and_units_have_a_test_here() -> None:
    here = [
        row for row in requirements().values() if {"R", "G", "U"} & set(row.way) and not row.not_applicable
    ]
    assert [row.id for row in here if row.id not in CLAIMED_HERE] == []


def test_tests_name_rows_that_exist_and_apply() -> None:
    applicable = {row.id for row in requirements().values() if not row.not_applicable}
    assert {test: rows for test, rows in claims().items() if not applicable.issuperset(rows)} == {}


def test_the_page_lists_exactly_the_tests_there_are_and_none_fails() -> None:
    page = PAGE.read_text(encoding="utf-8")
    told = read(page)
    stale = f"{PAGE.name} is stale; run `make conformance`"
    assert claims().keys() == told.keys(), stale
    assert page == render(told), stale
    assert [test for test, outcome in told.items() if outcome != "passed"] == []


def test_rows_are_read_from_the_start_of_a_name() -> None:
    assert rows_in("test_A1_C12_words_Q9_more") == ("A1", "C12")
    assert rows_in("test_words_A1_more") == rows_in("test_Z1_words") == rows_in("test_A1words") == ()


def _tests_of(row: str) -> list[str]:
    return [test for test, rows in claims().items() if row in rows]


def test_a_page_is_read_as_it_was_written() -> None:
    first, second, *rest = claims()
    outcomes = dict.fromkeys(rest, "passed") | {first: "failed"}
    page = render(outcomes)
    assert read(page) == outcomes | {second: "not run"}
    for row in CLAIMED:
        (line,) = [line for line in page.splitlines() if line.startswith(f"| {row} |")]
        assert line.endswith("| fail |" if {first, second} & set(_tests_of(row)) else "| pass |")


def test_a_run_contradicts_a_page_that_tells_less_than_it_found() -> None:
    told = {"a": "passed", "b": "failed", "c": "not run", "d": "failed"}
    assert stale({"a": "passed", "b": "passed", "c": "passed", "new": "passed"}, told) == ["b", "c"]
    assert stale({"a": "failed", "d": "failed"}, told) == []
