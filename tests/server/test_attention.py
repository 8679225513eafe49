"""Time counts as watched as far as somebody looked."""

from __future__ import annotations

from xds_server.server.attention import LONGEST, Attention


def test_time_goes_on_from_look_to_look() -> None:
    now = 1000.0
    attention = Attention(lambda: now)
    seen = []
    for pause in (0.5, 0.5, LONGEST, 60.0, 0.5, -5.0, 0.5):
        now += pause
        seen.append(attention.look())
    assert seen == [0.5, 1.0, 3.0, 5.0, 5.5, 5.5, 6.0]
