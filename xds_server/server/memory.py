"""Memory: what moves at run time, as the process before this one left it, and written until the disk has it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, Final

import structlog

from xds_server.archive import Journal, JournalError
from xds_server.server.readiness import Readiness

log = structlog.get_logger("fairlead.memory")

FIRST_PAUSE: Final = 1.0
LONGEST_PAUSE: Final = 60.0
"""Seconds between two attempts while the disk refuses: twice as long each time, up to this."""


def split_deployment(name: str) -> tuple[str, str]:
    """The path of an endpoint, and the environment, of a name that `join_deployment` made."""
    path, _, environment = name.rpartition("/")
    return path, environment


def join_deployment(path: str, environment: str) -> str:
    """The name under which a deployment stands in a journal: `acme/models/llama/production`."""
    return f"{path}/{environment}"


class Memory:
    """What is kept of one subject, such as `rollouts`. Without a ``journal`` nothing is.

    ``loss`` says in words what a restart would cost while the disk refuses. ``now`` is a clock in seconds.
    """

    def __init__(
        self,
        subject: str,
        loss: str,
        readiness: Readiness,
        journal: Journal | None = None,
        now: Callable[[], float] = monotonic,
    ) -> None:
        self._subject = subject
        self._loss = loss
        self._readiness = readiness
        self._journal = journal
        self._now = now
        self._writing = asyncio.Lock()
        self._pause = 0.0
        """Until the next attempt; 0 when the disk has everything."""
        self._again = 0.0

    def recall(self) -> Mapping[str, Any]:
        """What was written last. Nothing, with a warning, if that cannot be used."""
        try:
            return self._journal.read() if self._journal is not None else {}
        except JournalError as error:
            words = f"what is kept of {self._subject} cannot be used; they begin anew"
            log.warning(words, reason=str(error))
            return {}

    @property
    def refused(self) -> bool:
        """Whether the disk refused what was to be written last."""
        return self._pause > 0

    @property
    def due(self) -> bool:
        """Whether it is time to write once more what the disk refused."""
        return self.refused and self._now() >= self._again

    async def keep(self, entries: Callable[[], Mapping[str, Any]]) -> None:
        """Write the ``entries`` as they are then. What the disk refuses is told on `/readyz`, and `due` again later."""
        if self._journal is None:
            return
        async with self._writing:  # an older state must not be the last one on disk
            try:
                await asyncio.to_thread(self._journal.write, entries())
            except OSError as error:
                self._put_off(error.strerror or str(error))
            except Exception as error:  # what moves goes on moving
                log.exception("what moves cannot be written down", subject=self._subject)
                self._put_off(f"{type(error).__name__}: {error}")
            else:
                self._pause = 0.0
                self._readiness.note(self._subject, None)

    def _put_off(self, reason: str) -> None:
        assert self._journal is not None
        words = f"{self._journal.path} cannot be written: {reason}"
        self._readiness.note(self._subject, f"{words}; a restart would {self._loss}")
        self._pause = min(max(2 * self._pause, FIRST_PAUSE), LONGEST_PAUSE)
        self._again = self._now() + self._pause
