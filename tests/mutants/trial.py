"""Trials: the tests of the run endpoint against a copy of `xds_server` in which something is broken."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from tests.mutants.mutant import PACKAGE, ROOT, Edit

COPY_VARIABLE = "FAIRLEAD_MUTANT"
"""Where the copy is: `tests.mutants.witness` sees to it that a run has imported nothing else."""

VERSION = "0+mutant"
"""What the copy says of itself."""

_LIMIT = 600
"""Seconds after which a run is given up."""


class TrialError(Exception):
    """A run that says nothing about the behaviour: it did not end, or not by its tests."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a run. Tests as `test_paths.py::test_odd_paths`, those of many cases once, with the cases counted.

    `errors` are tests that failed before they began or after they ended: no behaviour was seen.
    """

    passed: dict[str, int]
    failed: dict[str, int]
    errors: dict[str, int]


@contextmanager
def copied(edits: Sequence[Edit] = ()) -> Iterator[Path]:
    """A folder that holds an edited copy of `xds_server`. Raises `NotFoundOnceError`."""
    with tempfile.TemporaryDirectory(prefix="fairlead-mutant-") as name:
        package = Path(name) / PACKAGE.name
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        with (package / "__init__.py").open("a", encoding="utf-8") as init:
            init.write(f'\n__version__ = "{VERSION}"\n')
        for edit in edits:
            edit.apply(package)
        yield Path(name)


def run(copy: Path, tests: Sequence[str]) -> Outcome:
    """Run tests, given as pytest wants them, with the copy in the place of `xds_server`. Raises `TrialError`."""
    report = copy / "report.xml"
    command = [
        # -P: the current folder, which holds the real package, is no place to import from.
        *(sys.executable, "-P", "-m", "pytest", "-q", "--no-header", "--tb=no"),
        *("-p", "tests.mutants.witness", "-p", "no:cacheprovider", f"--junitxml={report}"),
        *("-o", f"pythonpath={copy} {ROOT}", "-o", "junit_family=xunit2", *tests),
    ]
    with (copy / "output.txt").open("w+") as output:
        try:
            # Into a file: what a test leaves running must not hold a pipe open.
            done = subprocess.run(
                command,
                cwd=ROOT,
                env=environment(copy),
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise TrialError(f"no end within {_LIMIT} s: {' '.join(tests)}") from error
        if done.returncode not in (0, 1):  # https://docs.pytest.org/en/stable/reference/exit-codes.html
            output.seek(0)
            raise TrialError(f"pytest ended with {done.returncode}:\n{output.read()[-4000:]}")
    return read_report(report.read_text(encoding="utf-8"))


def environment(copy: Path) -> dict[str, str]:
    """The environment in which every process, the `fairlead` command too, imports the copy."""
    return {**os.environ, "PYTHONPATH": f"{copy}{os.pathsep}{ROOT}", COPY_VARIABLE: str(copy)}


def read_report(text: str) -> Outcome:
    """Read pytest's JUnit report."""
    outcome = Outcome({}, {}, {})
    for case in ElementTree.fromstring(text).iter("testcase"):
        test = f"{case.get('classname', '').rpartition('.')[2]}.py::{case.get('name', '').partition('[')[0]}"
        if case.find("failure") is not None:
            told = outcome.failed
        elif case.find("error") is not None:
            told = outcome.errors
        elif case.find("skipped") is not None:
            continue
        else:
            told = outcome.passed
        told[test] = told.get(test, 0) + 1
    return outcome
