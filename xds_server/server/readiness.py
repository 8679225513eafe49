"""Whether the control plane can serve, and why not."""

from __future__ import annotations

from typing import Any


class Readiness:
    """Ready from the first catalogue on. Problems are shown beside it; they do not take readiness away."""

    def __init__(self) -> None:
        self.generation: int | None = None
        """Of the catalogue being served."""
        self._problems: dict[str, str] = {}

    @property
    def ready(self) -> bool:
        """Say whether there is something to serve."""
        return self.generation is not None

    def note(self, subject: str, problem: str | None) -> None:
        """Say what is wrong with a subject (`policies`, `folder`), or with `None` that it is well again."""
        if problem is None:
            self._problems.pop(subject, None)
        else:
            self._problems[subject] = problem

    def describe(self) -> dict[str, Any]:
        """Return what `/readyz` says."""
        reasons = [] if self.ready else ["no configuration has been loaded yet"]
        return {
            "ready": self.ready,
            "generation": self.generation,
            "reasons": reasons,
            "problems": dict(sorted(self._problems.items())),
        }
