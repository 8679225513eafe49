"""Durations on the command line: ``90s``, ``15m``, ``8h``, ``1d``."""

from __future__ import annotations

import re
from typing import Final

import typer

SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400}
PATTERN: Final = re.compile(r"([0-9]{1,9})([smhd])")


def seconds(text: str, option: str) -> int:
    """Turn ``8h`` into 28800; raises ``typer.BadParameter`` (wrong usage) for anything else and for zero."""
    match = PATTERN.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise typer.BadParameter(f"{text!r} is not a duration such as 90s, 15m, 8h or 1d", param_hint=option)
    return int(match[1]) * SECONDS[match[2]]
