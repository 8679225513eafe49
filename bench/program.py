"""Where the programs are that a benchmark runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from xds_server.cli.binary import find

FAIRLEAD = os.environ.get("BENCH_FAIRLEAD") or str(Path(sys.executable).with_name("fairlead"))
"""The command under test; `BENCH_FAIRLEAD` names that of another checkout."""


def envoy(config: Path) -> list[str | Path]:
    """The command of an Envoy by itself, with one worker, as Fairlead's own has in all benchmarks."""
    return [
        *(find(), "-c", config, "--concurrency", "1"),
        *("--disable-hot-restart", "--log-level", "error"),
    ]
