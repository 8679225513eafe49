"""Diagnostics: what is wrong in a policy set, where, for whom, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple


class Severity(StrEnum):
    """How bad it is: an error keeps the last good state, a warning does not."""

    ERROR = "error"
    WARNING = "warning"


class Position(NamedTuple):
    """A place in a file; line and column count from 1, columns in characters."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


EVERYTHING: frozenset[str] = frozenset({"*"})
"""The `Diagnostic.workspaces` of a mistake that may concern anyone: every workspace and the fleet."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake.

    `position` says where; `code` is stable (see `xds_server.policy.codes`); `object` is the manifest as its
    author knows it, such as `Model acme/llama`. `workspaces` says who is broken by it: a set of workspace
    names, None for the fleet's own manifests (locations, gateways, issuers), or `EVERYTHING` when the text
    could not be read well enough to tell. Diagnostics sort by position.
    """

    code: str
    severity: Severity
    position: Position
    object: str
    message: str
    hint: str | None = None
    workspaces: frozenset[str] | None = field(default=None)

    @property
    def is_error(self) -> bool:
        """Whether it keeps those it concerns on their last good state."""
        return self.severity is Severity.ERROR

    @property
    def breaks_fleet(self) -> bool:
        """Whether the fleet's own manifests must stay as they last were."""
        return self.is_error and (self.workspaces is None or self.workspaces >= EVERYTHING)

    def breaks(self, workspace: str) -> bool:
        """Whether this workspace must stay as it last was."""
        if not self.is_error or self.workspaces is None:
            return False
        return self.workspaces >= EVERYTHING or workspace in self.workspaces

    def __lt__(self, other: Diagnostic) -> bool:
        return self._order() < other._order()

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.position}: {self.severity}[{self.code}] {self.object}: {self.message}{hint}"

    def _order(self) -> tuple[Position, str, str, str]:
        return self.position, self.code, self.message, self.object
