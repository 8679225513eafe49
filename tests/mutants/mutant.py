"""Mutants: one behaviour of the run endpoint broken each, and the tests that must notice. mutants.yaml lists them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).parents[2]
PACKAGE: Final = ROOT / "xds_server"
TESTS: Final = "tests/e2e"


class NotFoundOnceError(ValueError):
    """The text that a mutant replaces is not in its file, or not once: the code moved on, the list has to follow."""


@dataclass(frozen=True, slots=True)
class Edit:
    """One exact text of a file of `xds_server`, and what stands there instead."""

    file: str
    find: str
    put: str

    def apply(self, package: Path) -> None:
        """Edit the copy of `xds_server` in that folder. Raises `NotFoundOnceError`."""
        path = package / self.file
        text = path.read_text(encoding="utf-8")
        times = text.count(self.find)
        if times != 1:
            raise NotFoundOnceError(f"{self.file} holds this text {times} times, not once:\n{self.find}")
        path.write_text(text.replace(self.find, self.put), encoding="utf-8")


@dataclass(frozen=True, slots=True)
class Mutant:
    """A behaviour broken by edits; `why` says why there are several, where each would seem to be enough."""

    name: str
    broken: str
    edits: tuple[Edit, ...]
    killers: tuple[str, ...]
    """The tests that must fail, each in one of its cases at least, as `test_paths.py::test_odd_paths`."""
    why: str = ""

    @property
    def tests(self) -> tuple[str, ...]:
        """The killers as pytest wants them: paths from the root."""
        return tuple(f"{TESTS}/{killer}" for killer in self.killers)


@dataclass(frozen=True, slots=True)
class Row:
    """What a request is, what it must get, and the mutants that break it."""

    request: str
    outcome: str
    mutants: tuple[Mutant, ...]


@cache
def rows() -> tuple[Row, ...]:
    """Read mutants.yaml."""
    told = yaml.safe_load(Path(__file__).with_name("mutants.yaml").read_text(encoding="utf-8"))
    return tuple(
        Row(row["request"], row["outcome"], tuple(_mutant(**each) for each in row["mutants"])) for row in told
    )


def mutants() -> dict[str, Mutant]:
    """Return all mutants by name."""
    return {mutant.name: mutant for row in rows() for mutant in row.mutants}


def _mutant(name: str, broken: str, edits: list[dict[str, str]], killers: list[str], why: str = "") -> Mutant:
    return Mutant(name, broken, tuple(Edit(**edit) for edit in edits), tuple(killers), why)
