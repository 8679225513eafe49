from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xds_server.policy import format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "seconds", "shortest"),
    [
        ("500ms", 0.5, "500ms"),
        ("5s", 5.0, "5s"),
        ("15m", 900.0, "15m"),
        ("1h", 3600.0, "1h"),
        ("90s", 90.0, "90s"),
        ("120s", 120.0, "2m"),
        ("1000ms", 1.0, "1s"),
        ("168h", 604800.0, "168h"),
    ],
)
def test_durations(text: str, seconds: float, shortest: str) -> None:
    assert parse_duration(text) == seconds
    assert format_duration(seconds) == shortest


@pytest.mark.parametrize(
    "text",
    ["", "5", "s", "5 s", "1.5s", "-5s", "5d", "5S", "0s", "0ms", "169h", "٣s", "1h30m", "9" * 400 + "s"],
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="must"):
        parse_duration(text)


@given(st.integers(1, 604_800_000))
def test_formatting_loses_nothing(milliseconds: int) -> None:
    assert round(parse_duration(format_duration(milliseconds / 1000)) * 1000) == milliseconds
