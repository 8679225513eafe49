"""Diagnostics for people and for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from xds_server.cli.terminal import paint, say

if TYPE_CHECKING:
    from xds_server.policy import Diagnostic


def as_data(diagnostic: Diagnostic) -> dict[str, Any]:
    """Return one diagnostic as JSON data. ``workspaces`` is null where it concerns the fleet's own manifests."""
    workspaces = diagnostic.workspaces
    return {
        "code": diagnostic.code,
        "severity": str(diagnostic.severity),
        "file": diagnostic.position.file,
        "line": diagnostic.position.line,
        "column": diagnostic.position.column,
        "object": diagnostic.object,
        "message": diagnostic.message,
        "hint": diagnostic.hint,
        "workspaces": None if workspaces is None else sorted(workspaces),
    }


def tell(diagnostics: Iterable[Diagnostic]) -> None:
    """Say diagnostics on stderr, one line each, where they are not the data that was asked for."""
    for diagnostic in diagnostics:
        say(coloured(diagnostic, sys.stderr.isatty()))


def coloured(diagnostic: Diagnostic, terminal: bool) -> str:
    """Return one diagnostic as a line, its severity in colour on a terminal."""
    line = str(diagnostic)
    if not terminal:
        return line
    word = str(diagnostic.severity)
    return line.replace(f" {word}[", f" {paint(word, word, sys.stderr)}[", 1)


def count(diagnostics: Iterable[Diagnostic]) -> str:
    """Say how many there are: ``2 errors, 1 warning``."""
    errors = warnings = 0
    for diagnostic in diagnostics:
        errors += diagnostic.is_error
        warnings += not diagnostic.is_error
    return f"{number(errors, 'error')}, {number(warnings, 'warning')}"


def number(count_: int, noun: str) -> str:
    """Say a number of things: ``1 error``, ``2 errors``."""
    return f"{count_} {noun}{'' if count_ == 1 else 's'}"
