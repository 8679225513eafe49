"""The section "Broken once" of docs/testing.md: every promise, what broke it, and the tests that noticed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.mutants.mutant import ROOT, Row
from tests.mutants.verdict import Verdict

PAGE: Final = ROOT / "docs" / "testing.md"
_BEGIN: Final = "<!-- Made by `make mutants` from tests/mutants/mutants.yaml: begin -->\n"
_END: Final = "<!-- Made by `make mutants`: end -->\n"


def table(rows: tuple[Row, ...], verdicts: Mapping[str, Verdict]) -> str:
    """The mutants that were tried, in the order of the rows."""
    lines = ["| request | what was broken | tests that failed (cases) |", "|---|---|---|"]
    for row in rows:
        tried = [verdicts[mutant.name] for mutant in row.mutants if mutant.name in verdicts]
        for at, verdict in enumerate(tried):
            request = f"{row.request} → {row.outcome}" if at == 0 else ""
            lines.append(f"| {request} | {_broken(verdict)} | {_noticed(verdict)} |")
    return "\n".join(lines) + "\n"


def write(text: str, page: Path = PAGE) -> None:
    """Put a table between the marks of the page."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise ValueError(f"{page} lacks the marks between which the table stands")
    page.write_text(f"{before}{begin}{text}{end}{after}", encoding="utf-8")


def read(page: Path = PAGE) -> str:
    """The table as the page has it."""
    return page.read_text(encoding="utf-8").partition(_BEGIN)[2].partition(_END)[0]


def _broken(verdict: Verdict) -> str:
    mutant = verdict.mutant
    return f"{mutant.broken} ({mutant.why})" if mutant.why else mutant.broken


def _noticed(verdict: Verdict) -> str:
    if verdict.survived:
        return f"**survived** {', '.join(map(_name, verdict.survived))}"
    failed, passed = verdict.outcome.failed, verdict.outcome.passed
    return ", ".join(
        f"{_name(killer)} ({failed[killer]} of {failed[killer] + passed.get(killer, 0)})"
        for killer in verdict.mutant.killers
    )


def _name(test: str) -> str:
    return f"`{test.partition('::')[2]}`"
