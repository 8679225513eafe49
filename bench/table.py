"""Rows as a table: plain text for a terminal, or Markdown for the page."""

from __future__ import annotations

from bench.row import Baseline, Row, Spread

HEADINGS = (
    "what",
    "value",
    "goal",
    "met",
    "spread (n; least – p50 – p99 – most)",
    "beside it, in the same run",
)


def table(rows: list[Row]) -> str:
    """A Markdown table, padded so that it can be read as it is. Notes follow it."""
    cells = [HEADINGS, *(_cells(row) for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(HEADINGS))]
    lines = [_line(line, widths) for line in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    notes = [f"- {row.name}: {row.note}" for row in rows if row.note]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def number(value: float) -> str:
    """A number for people: three digits that mean something, thousands apart."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def quantity(value: float, unit: str) -> str:
    """A number with its unit."""
    return f"{number(value)} {unit}".strip()


def _cells(row: Row) -> tuple[str, ...]:
    value = "not measured" if row.value is None else quantity(row.value, row.unit)
    goal = "" if row.goal is None else f"{row.goal} {row.unit}".strip()
    met = "" if row.met is None else ("yes" if row.met else "**no**")
    beside = "; ".join(_beside(each) for each in row.baselines)
    return (row.name, value, goal, met, _spread(row.spread), beside)


def _spread(spread: Spread | None) -> str:
    if spread is None:
        return ""
    numbers = (spread.least, spread.p50, spread.p99, spread.most)
    return f"{spread.count:,}; {' – '.join(number(each) for each in numbers)}"


def _beside(each: Baseline) -> str:
    return f"{each.name}: {quantity(each.value, each.unit)}"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    padded = (cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
    return "| " + " | ".join(padded) + " |"
