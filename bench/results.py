"""What a run measured, and `bench/results.json`: a list of `{name, value, unit, goal, met, baseline}`.

`goal` is `{at_most: N}` or `{at_least: N}` in the row's unit, or null; `met` is null without a goal or a value;
`baseline` is a list of `{name, value, unit}`. Where they exist, `spread` (`count`, `least`, `p50`, `p99`, `most`) and
`note` (why there is no value, what is missing) follow.
"""

from __future__ import annotations

import json
from typing import NamedTuple

from bench.peer import ROOT
from bench.registry import Scenario
from bench.row import Row

PATH = ROOT / "bench" / "results.json"


class Measured(NamedTuple):
    """A scenario, its rows, and how long it took in seconds."""

    scenario: Scenario
    rows: list[Row]
    took: float


def write(measured: list[Measured]) -> None:
    """Write the results of a whole run."""
    documents = [row.document() for each in measured for row in each.rows]
    PATH.write_text(json.dumps(documents, indent=2, ensure_ascii=False) + "\n")
