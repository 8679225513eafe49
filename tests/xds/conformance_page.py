"""docs/xds-conformance.md: written from the rows, the tests that claim them and their outcomes; and read back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final, Literal

from tests.xds.requirement import ROOT, Requirement, Section, claims, requirements, sections

Outcome = Literal["passed", "failed", "not run"]

PAGE: Final = ROOT / "docs" / "xds-conformance.md"
_ENTRY: Final = re.compile(r"\[([^\]]+)\]\(\.\./([^)]+)\)(?: \((failed|not run)\))?")

_HEAD: Final = """\
<!-- Made by `make conformance` from tests/xds/requirements.yaml and the outcomes of the tests. Do not edit. -->
# xDS conformance

What an xDS management server must do, row by row, and the tests that show that Fairlead does it: {rows} rows,
{shown} shown by {tests} tests, {other} not applicable to Fairlead (which says why). The ways in brackets: R a raw xDS
client, E the real Envoy, G gRPC's own xDS client, U a unit test, bench a measurement. XP is the
[protocol's documentation](https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol), DP its
`discovery.proto`; *measured* is what the real Envoy did, *derived* our conclusion.

A row passes when all of its tests do, each in all of its cases. A row without a test fails the build.
"""


def render(outcomes: Mapping[str, Outcome]) -> str:
    """Write the page. A test without an outcome is told as not run."""
    claimed = _by_row()
    rows = requirements()
    absent = sum(1 for row in rows.values() if row.not_applicable)
    head = _HEAD.format(rows=len(rows), shown=len(rows) - absent, tests=len(claims()), other=absent)
    return head + "".join(_section(section, claimed, outcomes) for section in sections())


def read(page: str) -> dict[str, Outcome]:
    """Return the outcomes that a page tells of, by node id without parameters."""
    told: dict[str, Outcome] = {}
    for name, path, mark in _ENTRY.findall(page):
        if path.endswith(".py"):
            told[f"{path}::{name}"] = mark or "passed"
    return told


def _by_row() -> dict[str, list[str]]:
    claimed: dict[str, list[str]] = {}
    for test, rows in claims().items():
        for row in rows:
            claimed.setdefault(row, []).append(test)
    return claimed


def _section(section: Section, claimed: Mapping[str, Iterable[str]], outcomes: Mapping[str, Outcome]) -> str:
    lines = [f"\n## {section.letter}. {section.title}\n", "| id | test | pass |", "|---|---|---|"]
    for row in section.rows:
        tests = tuple(claimed.get(row.id, ()))
        entries = "<br>".join(_entry(test, outcomes.get(test, "not run")) for test in tests)
        lines.append(f"| {row.id} | {entries} | {_verdict(row, tests, outcomes)} |")
    lines.append("")
    lines += [
        f"- **{row.id}** {row.requirement} ({', '.join(row.way)}; {row.source})" for row in section.rows
    ]
    return "\n".join(lines) + "\n"


def _entry(test: str, outcome: Outcome) -> str:
    path, _, name = test.partition("::")
    mark = "" if outcome == "passed" else f" ({outcome})"
    return f"[{name}](../{path}){mark}"


def _verdict(row: Requirement, tests: Iterable[str], outcomes: Mapping[str, Outcome]) -> str:
    if row.not_applicable:
        return f"n/a: {row.not_applicable}"
    told = {outcomes.get(test, "not run") for test in tests}
    return "pass" if told == {"passed"} else "fail"
