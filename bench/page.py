"""Writes docs/benchmarks.md: the rows with how they were measured, what they don't show, and why a goal is not met."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import textwrap
from pathlib import Path

from bench import plot
from bench.peer import ROOT, Peer
from bench.registry import NAMES
from bench.results import Measured
from bench.table import table
from xds_server import __version__
from xds_server.cli.binary import find

PAGE = ROOT / "docs" / "benchmarks.md"
FINDINGS = ROOT / "bench" / "findings"
"""A file per scenario, written by hand: for goals that are not met, the profile that shows why and what was tried."""


def write(measured: list[Measured]) -> None:
    """Write the page and its plot from a whole run."""
    plot.write([row for each in measured for row in each.rows])
    PAGE.write_text(text(measured, machine()))


def text(measured: list[Measured], where: str) -> str:
    """The page."""
    rows = [row for each in measured for row in each.rows]
    goals = [row for row in rows if row.goal]
    met, open_ = sum(row.met is True for row in goals), sum(row.met is None for row in goals)
    minutes = sum(each.took for each in measured) / 60
    names = [each.scenario.name for each in measured]
    left_out = [name for name in NAMES if name not in names]
    only = " ".join(f"--only {name}" for name in names)
    command = f"python -m bench {only} --write" if left_out else "make bench"
    rest = f" Not run this time: {', '.join(left_out)}." if left_out else ""
    return (
        f"""# Benchmarks

<!-- Made by `{command}`. Edit the docstrings in bench/ and the texts in bench/findings/ instead. -->

{where}

One command, `{command}`, made this page, [the results as data](../bench/results.json) and the plot, in {minutes:.0f}
minutes.{rest} The control plane, Envoys (one worker each), model servers and clients are processes that share these
cores; everything is on loopback. Absolute numbers depend on the machine, so each has a baseline of the same run beside
it. Percentiles are nearest-rank; with n below 100, p99 is the largest.

Of {len(goals)} goals {met} are met, {len(goals) - met - open_} are not, {open_} could not be measured.

![each goal: the value in parts of the goal](benchmarks.svg)

"""
        + "\n".join(_section(each) for each in measured)
        + _FOOT
    )


_FOOT = """
## Run it

```sh
make bench                                    # everything; writes this page
python -m bench --only freshness --only churn # some of it; prints
python -m bench --quick                       # small sizes: shows that it works, no more
python -m bench --only restart --keep         # keeps the folders with all logs
```

Close everything else, and let the machine rest between two runs: a shared or throttled core shows first in the p99.
Peers of other makes are installed once into `.bench/` (`bench/peers`), in the versions named above.
"""


def _section(each: Measured) -> str:
    parts = [f"## {each.scenario.title}", _flow(each.scenario.about), table(each.rows)]
    if each.scenario.limits:
        parts.append("What this does not show: " + _flow(each.scenario.limits))
    finding = FINDINGS / f"{each.scenario.name}.md"
    if any(row.met is False for row in each.rows):
        known = finding.read_text().strip() if finding.exists() else "Not looked into yet."
        parts.append(f"### Why a goal is not met\n\n{known}")
    return "\n\n".join(parts) + "\n"


def _flow(words: str) -> str:
    """Paragraphs as they are, without the indentation of the source."""
    return re.sub(r"\n{3,}", "\n\n", textwrap.dedent(words).strip())


def machine() -> str:
    """What it ran on, and which versions of what."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    envoy = subprocess.run([find(), "--version"], capture_output=True, text=True, check=True).stdout
    release = re.search(r"/(\d+\.\d+\.\d+)", envoy)
    peers = [Peer("sovereign"), Peer("litellm")]
    installed = [f"{each.name} {each.version()}" for each in peers if not each.missing]
    versions = [
        f"Fairlead {__version__}",
        f"Envoy {release.group(1) if release else '?'}",
        f"Python {platform.python_version()}",
        *installed,
    ]
    return (
        f"{os.cpu_count()} cores ({model.group(1) if model else platform.machine()}), {memory:.0f} GiB, "
        f"Linux {platform.release().split('-')[0]}. {', '.join(versions)}."
    )
