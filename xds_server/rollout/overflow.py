"""Overflow: when a deployment's home has so much to do that a share of its requests goes to the next place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple


@dataclass(frozen=True, slots=True)
class Overflow:
    """``above`` so many requests in progress, ``share`` percent go to the next place, until there are fewer than
    ``below``."""

    above: int
    below: int
    share: int


class Pressure(NamedTuple):
    """Requests in progress: at home, and at the next place."""

    home: int
    beyond: int


@dataclass(frozen=True, slots=True)
class Spill:
    """Whether a share goes to the next place, and since when it need not any more."""

    spilling: bool = False
    calm_since: float | None = None


AT_HOME: Final = Spill()


def decide(overflow: Overflow, last: Spill, pressure: Pressure, now: float, interval: float | None) -> Spill:
    """Look at a report, at ``now`` seconds. ``interval`` is how many lie between one report of an Envoy and its next,
    ``None`` as long as not every Envoy has said what it has in progress: then nothing is calm.

    While a share goes elsewhere, home is relieved by just that: what counts is what it would have to do if all came
    back. And it has to stay so for an interval, in which every Envoy reports once.
    """
    if not last.spilling:
        return Spill(pressure.home > overflow.above)
    if interval is None or pressure.home + pressure.beyond >= overflow.below:
        return Spill(True)
    since = now if last.calm_since is None else last.calm_since
    return AT_HOME if now - since >= interval else Spill(True, since)
