"""What was seen of the two revisions since the last look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple


class Tally(NamedTuple):
    """Requests that ended, as the Envoys count them: an answer of 5xx, a reset and a timeout are failures."""

    succeeded: int = 0
    failed: int = 0

    @property
    def total(self) -> int:
        """All of them."""
        return self.succeeded + self.failed

    @property
    def rate(self) -> float:
        """The share that failed, 0 to 1; 0 of none."""
        return self.failed / self.total if self.total else 0.0

    def plus(self, other: Tally) -> Tally:
        """Both together."""
        return Tally(self.succeeded + other.succeeded, self.failed + other.failed)


NO_REQUESTS: Final = Tally()


class Baseline(NamedTuple):
    """The old revision when there was last enough to tell: its rate of failures (0 to 1), and its latency in seconds.

    Once it gets no requests any more, the new one is still compared with it.
    """

    rate: float = 0.0
    latency: float | None = None


NOTHING_KNOWN: Final = Baseline()


@dataclass(frozen=True, slots=True)
class Observation:
    """What the machine is told at a look. ``None`` stands for no data, whatever the cause.

    ``old`` and ``new`` count what ended since the last look. The rates (0 to 1) and latencies (seconds) are of those
    gates that ask Prometheus. ``healthy`` says whether every backend of the new revision answered its check; ``why`` is
    the first thing that could not be found out, in words.
    """

    old: Tally = NO_REQUESTS
    new: Tally = NO_REQUESTS
    old_rate: float | None = None
    new_rate: float | None = None
    old_latency: float | None = None
    new_latency: float | None = None
    healthy: bool | None = None
    why: str = ""
