"""Keeps docs/xds-conformance.md true: which row of requirements.yaml is shown by which test, and whether it passes.

A test claims rows by its name: `test_A1_...`, `test_C3_C4_...`, anywhere under tests/. The rules:

- Every run, of whatever part of the suite, compares the outcomes of the tests it ran with the committed page, and fails
  when the page says otherwise. What it did not run it says nothing about.
- `--update-conformance` runs only tests that claim rows, and writes the page: with the outcomes of what it ran, and for
  all other tests with what the page says already. So the version matrix, which runs by itself, is written by a run of
  its own: `make conformance` for everything else, `make conformance TESTS=tests/matrix` for the matrix. The order does
  not matter. A test that was never run is told as `(not run)`, and its rows fail.
- tests/xds/test_conformance.py fails when the page does not list exactly the tests there are, when a row fails and when
  one has no test.

A test counts as run when all its cases were: none deselected, none skipped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from tests.xds.conformance_page import PAGE, Outcome, read, render
from tests.xds.requirement import claims


class Conformance:
    """Watches one run."""

    def __init__(self, *, update: bool) -> None:
        self._update = update
        self._outcomes: dict[str, Outcome] = {}
        self._partial: set[str] = set()
        self._complaint = ""

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        if not self._update:
            return
        others = [item for item in items if _test(item.nodeid) not in claims()]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if _test(item.nodeid) in claims()]

    def pytest_deselected(self, items: Sequence[pytest.Item]) -> None:
        self._partial.update(_test(item.nodeid) for item in items)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        test = _test(report.nodeid)
        if test not in claims():
            return
        if report.skipped:
            self._partial.add(test)
        elif report.failed:
            self._outcomes[test] = "failed"
        elif report.when == "call":
            self._outcomes.setdefault(test, "passed")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        ended = session.exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
        if session.config.option.collectonly or not ended:
            return
        for test in self._partial:
            if self._outcomes.get(test) == "passed":
                del self._outcomes[test]
        told = read(PAGE.read_text(encoding="utf-8")) if PAGE.exists() else {}
        if self._update:
            PAGE.write_text(render(told | self._outcomes), encoding="utf-8")
            return
        wrong = stale(self._outcomes, told)
        if wrong:
            self._complaint = (
                f"{PAGE.name} is stale: it says otherwise of {', '.join(wrong)}; run `make conformance`"
            )
            if session.exitstatus == pytest.ExitCode.OK:
                session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        if self._complaint:
            terminalreporter.write_line(self._complaint, red=True)


def stale(outcomes: Mapping[str, Outcome], told: Mapping[str, Outcome]) -> list[str]:
    """Return the tests that pass now and of which the page says otherwise.

    A test that fails now fails the run by itself. One that the page lacks is test_conformance.py's business, so that
    it can be run before the page is written.
    """
    passed = {test for test, outcome in outcomes.items() if outcome == "passed"}
    return sorted(test for test in passed & told.keys() if told[test] != "passed")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-conformance",
        action="store_true",
        help="run only the tests that claim rows of the xDS requirements, and write docs/xds-conformance.md",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Conformance(update=config.getoption("--update-conformance")), "conformance")


def _test(nodeid: str) -> str:
    return nodeid.partition("[")[0]
