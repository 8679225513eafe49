"""The rows of requirements.yaml, and the tests that claim to show them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import yaml

ROOT: Final = Path(__file__).parents[2]
_CLAIM: Final = re.compile(r"test_((?:[A-Q]\d+_)+)")


@dataclass(frozen=True, slots=True)
class Requirement:
    """A row: what a management server must do, who says so, and how it can be shown."""

    id: str
    requirement: str
    source: str
    way: tuple[str, ...]
    not_applicable: str | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """Rows that belong together."""

    letter: str
    title: str
    rows: tuple[Requirement, ...]


@cache
def sections() -> tuple[Section, ...]:
    """Read requirements.yaml."""
    text = Path(__file__).with_name("requirements.yaml").read_text(encoding="utf-8")
    return tuple(
        Section(
            letter,
            told["title"],
            tuple(Requirement(**row | {"way": tuple(row["way"])}) for row in told["rows"]),
        )
        for letter, told in yaml.safe_load(text).items()
    )


def requirements() -> dict[str, Requirement]:
    """Return all rows by id."""
    return {row.id: row for section in sections() for row in section.rows}


def rows_in(name: str) -> tuple[str, ...]:
    """Return the rows that a test's name claims: `test_A1_A2_words` claims A1 and A2."""
    found = _CLAIM.match(name)
    return tuple(found[1].rstrip("_").split("_")) if found else ()


@cache
def claims() -> dict[str, tuple[str, ...]]:
    """Return the rows of each test of the whole suite that claims any, by node id without parameters.

    Read from the sources, so that it does not depend on which tests a run collects.
    """
    return {
        "::".join((path.relative_to(ROOT).as_posix(), *name)): rows_in(name[-1])
        for path in sorted((ROOT / "tests").rglob("test_*.py"))
        for name in _functions(ast.parse(path.read_text(encoding="utf-8")).body)
        if rows_in(name[-1])
    }


def _functions(body: Sequence[ast.stmt], within: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (*within, statement.name)
        elif isinstance(statement, ast.ClassDef):
            yield from _functions(statement.body, (*within, statement.name))
