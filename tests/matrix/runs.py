"""Runs of the scenarios, two at a time: a combination mostly waits."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Generic, TypeVar

from tests.matrix.combination import Combination

Outcome = TypeVar("Outcome")
AT_ONCE = 2


class Runs(Generic[Outcome]):
    """What came of each combination; all are begun together, and each is waited for when it is looked at."""

    def __init__(
        self,
        pool: ThreadPoolExecutor,
        run: Callable[[Combination, Path], Outcome],
        wanted: Iterable[Combination],
        root: Path,
    ) -> None:
        self._coming: dict[Combination, Future[Outcome]] = {
            each: pool.submit(run, each, root / str(each)) for each in wanted
        }

    def __getitem__(self, combination: Combination) -> Outcome:
        """The outcome; raises what ended the run, if something did."""
        return self._coming[combination].result()
