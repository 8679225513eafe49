"""The keeper: what the disk refuses, and what else goes wrong, is told and tried again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from xds_server.graph import Built, Graph
from xds_server.server.keeper import Keeper
from xds_server.server.readiness import Readiness

BUILT = Built(Graph(), (), frozenset(), fleet_kept=False, grounds={})


class Archive:
    """Fails as it is told to, once each."""

    path = Path("state")

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)

    def keep(self, *_: Any) -> int:
        if self.faults:
            raise self.faults.pop(0)
        return 1


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (OSError(28, "No space left on device", "state/x"), "state/x: No space left on device"),
        (ValueError("odd"), "odd"),
    ],
)
async def test_a_failure_is_told_and_the_next_attempt_mends_it(fault: Exception, words: str) -> None:
    readiness = Readiness()
    keeper = Keeper(Archive(fault), readiness)  # type: ignore[arg-type]
    keeper.note(BUILT)
    assert not await keeper.write()
    assert words in readiness.describe()["problems"]["state"]
    assert await keeper.write()
    assert readiness.describe()["problems"] == {}
