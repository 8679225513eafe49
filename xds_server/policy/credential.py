"""Credentials in files: one line, as a header can carry it."""

from __future__ import annotations

import re

_CARRIED = re.compile(rb"[!-~](?:[ -~]*[!-~])?")


def credential_problem(content: bytes) -> str | None:
    """Why a file holds no credential, or None if it holds one. Never says what it holds."""
    line = content.strip()
    if not line:
        return "is empty"
    return (
        None
        if _CARRIED.fullmatch(line)
        else "does not hold one line of printable ASCII, as a header can carry it"
    )


def credential_text(content: bytes) -> str:
    """The credential in a good file, without the white space around it."""
    return content.strip().decode("ascii")
