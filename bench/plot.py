"""The plot of the page: each goal as a bar, as long as the value is in parts of the goal, on a logarithmic axis.

In: rows. Out: an SVG written by hand, without a library. Left of the line is better than the goal, right of it worse;
baselines in the same unit are ticks.
"""

from __future__ import annotations

import math
from html import escape

from bench.peer import ROOT
from bench.row import Row
from bench.table import quantity

PATH = ROOT / "docs" / "benchmarks.svg"

_WIDTH, _LABELS, _RIGHT, _LINE, _TOP = 1060, 520, 130, 30, 46
_DECADES = (-2, 2)
"""The axis runs from a hundredth of the goal to a hundredfold; what lies beyond is drawn at its end."""


def write(rows: list[Row]) -> None:
    """Write the plot of the rows with goals."""
    PATH.write_text(draw(rows))


def draw(rows: list[Row]) -> str:
    """The SVG's text."""
    shown = [row for row in rows if row.goal]
    height = _TOP + _LINE * len(shown) + 14
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" '
        'font-family="system-ui, sans-serif" font-size="12" role="img" aria-label="Each value beside its goal">',
        # A ground of its own, so that it can be read on a dark page too.
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
    ]
    for decade in range(_DECADES[0], _DECADES[1] + 1):
        at, word = _place(10.0**decade), "goal" if decade == 0 else f"× {10.0**decade:g}"
        colour, thick = ("#222222", 1.5) if decade == 0 else ("#dddddd", 1)
        parts.append(
            f'<path d="M{at:.1f} {_TOP - 8}V{height - 10}" stroke="{colour}" stroke-width="{thick}"/>'
        )
        parts.append(f'<text x="{at:.1f}" y="{_TOP - 14}" text-anchor="middle" fill="#444444">{word}</text>')
    parts.append(f'<text x="{_place(0.1):.1f}" y="14" text-anchor="middle" fill="#1a7f37">better</text>')
    parts.append(f'<text x="{_place(10):.1f}" y="14" text-anchor="middle" fill="#b35900">worse</text>')
    for number, row in enumerate(shown):
        parts += _bar(row, _TOP + _LINE * number)
    return "\n".join([*parts, "</svg>", ""])


def _bar(row: Row, top: float) -> list[str]:
    middle = top + _LINE / 2
    text = [
        f'<text x="{_LABELS - 10}" y="{middle + 4:.1f}" text-anchor="end" fill="#222222">{escape(row.name)}</text>'
    ]
    end = _WIDTH - _RIGHT + 8
    ratio = ratio_of(row)
    if row.value is None or ratio is None:
        return [*text, f'<text x="{end}" y="{middle + 4:.1f}" fill="#777777">not measured</text>']
    one, at = _place(1.0), _place(ratio)
    colour = "#2da44e" if row.met else "#e8833a"
    bar = (
        f'<rect x="{min(one, at):.1f}" y="{top + 6:.1f}" width="{max(abs(at - one), 1.5):.1f}" '
        f'height="{_LINE - 12}" fill="{colour}"/>'
    )
    ticks = []
    for each in row.baselines:
        other = ratio_of(row, each.value) if each.unit == row.unit else None
        if other is not None:
            place = _place(other)
            ticks.append(
                f'<path d="M{place:.1f} {top + 3:.1f}v{_LINE - 6}" stroke="#0969da" stroke-width="2">'
                f"<title>{escape(each.name)}: {escape(quantity(each.value, each.unit))}</title></path>"
            )
    value = (
        f'<text x="{end}" y="{middle + 4:.1f}" fill="#222222">{escape(quantity(row.value, row.unit))}</text>'
    )
    return [*text, bar, *ticks, value]


def ratio_of(row: Row, value: float | None = None) -> float | None:
    """How much worse than the goal a value is: below 1 is better. The row's own value, unless one is given."""
    assert row.goal is not None
    value = row.value if value is None else value
    if value is None:
        return None
    # Nothing of what must not be is better than any bound, and is drawn at the axis's end.
    smallest = 1e-9
    if row.goal.least:
        return row.goal.bound / max(value, smallest)
    return max(value, smallest) / row.goal.bound if row.goal.bound else (1e9 if value > 0 else smallest)


def _place(ratio: float) -> float:
    """Where on the axis a ratio lies, in pixels."""
    first, last = _DECADES
    exponent = min(max(math.log10(ratio), first), last)
    return _LABELS + (exponent - first) / (last - first) * (_WIDTH - _LABELS - _RIGHT)
