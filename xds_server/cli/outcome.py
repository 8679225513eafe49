"""How a command ends: its exit code, and the one exception that means "the work failed"."""

from __future__ import annotations

from typing import Final

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 64
INTERRUPTED: Final = 130
"""128 + SIGINT: what a shell expects of a command that a Ctrl-C cut short."""


class CommandError(Exception):
    """The work failed: ``message`` says what, ``hint`` says what to do about it. Ends the command with exit
    code 1.
    """

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
