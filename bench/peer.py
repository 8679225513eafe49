"""Programs of others that are measured beside Fairlead, each in a virtual environment of its own under `.bench/`.

They are installed once (`bench/peers`, called by `make bench`), in pinned versions: their dependencies clash with each
other's and with Fairlead's. What can't be installed is told in the rows that would have had it.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Peer:
    """A distribution of PyPI, and the folder that it was put into."""

    name: str

    @property
    def folder(self) -> Path:
        return ROOT / ".bench" / self.name

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def missing(self) -> str:
        """Why it can't be measured; empty if it can."""
        if (self.folder / ".complete").exists():
            return ""
        failure = self.folder / ".failed"
        said = (
            failure.read_text().strip().splitlines()[-1]
            if failure.exists()
            else "run `make bench`, or bench/peers"
        )
        return f"{self.name} from PyPI is not installed: {said}"

    def version(self) -> str:
        """The version that is installed."""
        code = f"import importlib.metadata as m; print(m.version({self.name!r}))"
        return subprocess.run(
            [self.python, "-c", code], check=True, capture_output=True, text=True
        ).stdout.strip()

    def command(self, program: str) -> Path:
        """The path of a program that it installed."""
        return self.folder / "bin" / program
