"""What a scenario is given: where to work, how much to do, and what it needs beside Fairlead."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.peer import Peer


@dataclass(frozen=True, slots=True)
class Setting:
    """`quick` asks for small sizes: the numbers show that the harness works, no more."""

    quick: bool
    sovereign: Peer
    litellm: Peer
    keep: bool = False
    models: int | None = None
    """The larger number of models of a scenario that asks for it, if not its own."""

    def size(self, whole: int, quick: int) -> int:
        """How many of something: the whole, or a quick try."""
        return quick if self.quick else whole

    @contextmanager
    def folder(self) -> Iterator[Path]:
        """An empty folder for one stack. It stays, with all logs, where something failed or `keep` says so."""
        work = Path(tempfile.mkdtemp(prefix="fairlead-bench-"))
        try:
            yield work
        except Exception as error:
            error.add_note(f"logs are in {work}")
            raise
        except BaseException:
            shutil.rmtree(work, ignore_errors=True)
            raise
        if not self.keep:
            shutil.rmtree(work, ignore_errors=True)
