"""Durations: `500ms`, `5s`, `15m`, `1h` in a manifest, float seconds in Python."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema
from pydantic_core import PydanticCustomError

_PATTERN = r"^([0-9]+)(ms|s|m|h)$"
_MATCH = re.compile(_PATTERN, re.ASCII).fullmatch
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_LONGEST = 7 * 24 * 3600.0


@lru_cache(maxsize=4096)
def parse_duration(text: str) -> float:
    """Seconds of a duration such as `500ms`; ValueError says what is wrong with it."""
    match = _MATCH(text)
    if match is None:
        raise ValueError("must be a duration: a whole number and a unit, ms, s, m or h")
    number, unit = match.groups()
    seconds = float(number) * _UNITS[unit] if len(number) <= 12 else _LONGEST + 1
    if seconds == 0:
        raise ValueError("must be longer than zero")
    if seconds > _LONGEST:
        raise ValueError("must not be longer than a week (168h)")
    return seconds


def format_duration(seconds: float) -> str:
    """The shortest way to write a duration: 90.0 is `90s`, 120.0 is `2m`, 0.5 is `500ms`."""
    milliseconds = round(seconds * 1000)
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds % size == 0 and milliseconds:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def _read(value: Any) -> float:
    try:
        if isinstance(value, str):
            return parse_duration(value)
        raise ValueError("must be a duration: a whole number and a unit, ms, s, m or h")
    except ValueError as error:
        number = isinstance(value, int) and not isinstance(value, bool) and value
        hint = f"did you mean `{value}s`?" if number else "for example `30s`"
        raise PydanticCustomError(
            "bad-duration", "{message}", {"message": str(error), "hint": hint}
        ) from None


Duration = Annotated[
    float,
    BeforeValidator(_read),
    PlainSerializer(format_duration, return_type=str),
    WithJsonSchema({"type": "string", "pattern": _PATTERN, "x-type": "duration"}),
]
"""Seconds; written as a whole number with its unit."""
