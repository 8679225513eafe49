"""What a trial says: who survived, what counts as noticed, and that the copy is what runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants import mutant as listing
from tests.mutants import page
from tests.mutants.mutant import Mutant, Row
from tests.mutants.trial import Outcome, TrialError, copied, read_report, run
from tests.mutants.verdict import Verdict

_MUTANT = Mutant("deaf", "nothing is heard", (), ("test_ear.py::test_hears", "test_ear.py::test_listens"))


def test_a_report_tells_failures_from_errors() -> None:
    outcome = read_report(
        """<testsuites><testsuite>
        <testcase classname="tests.e2e.test_ear" name="test_hears[a]"><failure message="no"/></testcase>
        <testcase classname="tests.e2e.test_ear" name="test_hears[b]"><failure message="no"/></testcase>
        <testcase classname="tests.e2e.test_ear" name="test_hears[c]"/>
        <testcase classname="tests.e2e.test_ear" name="test_listens"><error message="failed on setup"/></testcase>
        <testcase classname="tests.e2e.test_ear" name="test_left_out"><skipped/></testcase>
        </testsuite></testsuites>"""
    )
    hears, listens = _MUTANT.killers
    assert outcome == Outcome(passed={hears: 1}, failed={hears: 2}, errors={listens: 1})


def test_a_mutant_survives_unless_each_of_its_tests_fails() -> None:
    hears, listens = _MUTANT.killers
    assert Verdict(_MUTANT, Outcome({}, {hears: 1, listens: 1}, {})).survived == ()
    assert Verdict(_MUTANT, Outcome({listens: 3}, {hears: 1}, {})).survived == (listens,)
    # The fleet did not come up: nobody has seen anything.
    assert Verdict(_MUTANT, Outcome({}, {}, {hears: 1, listens: 1})).survived == (hears, listens)


def test_the_table_says_what_failed_and_who_survived(tmp_path: Path) -> None:
    hears, listens = _MUTANT.killers
    rows = (Row("a sound", "is heard", (_MUTANT,)),)
    noticed = page.table(rows, {"deaf": Verdict(_MUTANT, Outcome({hears: 3}, {hears: 1, listens: 2}, {}))})
    line = "| a sound → is heard | nothing is heard | `test_hears` (1 of 4), `test_listens` (2 of 2) |"
    assert line in noticed
    survived = page.table(rows, {"deaf": Verdict(_MUTANT, Outcome({hears: 1, listens: 1}, {}, {}))})
    assert "**survived** `test_hears`, `test_listens`" in survived
    copy = tmp_path / "page.md"
    copy.write_text(page.PAGE.read_text())
    page.write(noticed, copy)
    assert page.read(copy) == noticed
    page.write(page.read(), copy)
    assert copy.read_text() == page.PAGE.read_text()


def test_the_page_is_of_the_mutants_that_there_are() -> None:
    table = page.read()
    told = [line.split(" | ")[1] for line in table.splitlines()[2:]]
    assert len(told) == len(listing.mutants())
    for mutant, text in zip(listing.mutants().values(), told, strict=True):
        assert text.startswith(mutant.broken)
        assert all(f"`{killer.partition('::')[2]}`" in table for killer in mutant.killers)
    assert "survived" not in table


def test_what_runs_is_the_copy(tmp_path: Path) -> None:
    """Tests pass against a copy, and do not where they get at the real package."""
    inside = tmp_path / "test_inside.py"
    inside.write_text(
        "import xds_server\ndef test_one() -> None:\n    assert 'mutant' in xds_server.__version__\n"
    )
    outside = tmp_path / "test_outside.py"
    outside.write_text(
        "import xds_server\ndef test_one() -> None:\n    xds_server.__file__ = '/elsewhere/xds_server/__init__.py'\n"
    )
    with copied() as copy:
        assert run(copy, [str(inside)]).passed == {"test_inside.py::test_one": 1}
        with pytest.raises(TrialError, match="not imported from"):
            run(copy, [str(outside)])
