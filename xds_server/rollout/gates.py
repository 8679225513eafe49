"""Gates: what must hold of the new revision for a step to pass, and what ends a step at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from .observation import Baseline, Observation, Tally
from .state import Reason


@dataclass(frozen=True, slots=True)
class Query:
    """A question to Prometheus: its base URL, and PromQL in which ``$cluster`` and the like stand for a revision."""

    url: str
    promql: str


@dataclass(frozen=True, slots=True)
class ErrorRate:
    """The new revision's share of failures may lie ``above`` (0 to 1) that of the old one, no more.

    Without a ``query`` it is counted from the Envoys' load reports.
    """

    above: float
    query: Query | None = None


@dataclass(frozen=True, slots=True)
class Latency:
    """The new revision's latency may be ``above`` seconds, and ``times`` the old one's, no more; ``None``: no bound."""

    query: Query
    above: float | None = None
    times: float | None = None


@dataclass(frozen=True, slots=True)
class Gates:
    """All that is watched. ``min_requests`` of the new revision in a step before load reports say anything."""

    error_rate: ErrorRate | None = None
    latency: Latency | None = None
    health: bool = False
    min_requests: int = 50


NO_GATES: Final = Gates()


class Verdict(NamedTuple):
    """What the gates say: a breach, something that is waited for, or nothing (``None``): all of them hold."""

    reason: Reason | None = None
    breach: bool = False
    words: str = ""


def judge(gates: Gates, new: Tally, baseline: Baseline, seen: Observation) -> Verdict:
    """Judge a step by what ended in it and what was seen last. A breach comes before what is waited for."""
    found = [
        _judge_errors(gates, new, baseline.rate, seen),
        _judge_latency(gates, baseline.latency, seen),
        _judge_health(gates, seen),
    ]
    breach = next((each for each in found if each.breach), None)
    return breach or next((each for each in found if each.reason is not None), Verdict())


def may_enter(gates: Gates, seen: Observation) -> Verdict:
    """Judge whether the new revision may be given its first share: only its health is known yet."""
    return _judge_health(gates, seen)


def find_baseline(gates: Gates, old: Tally, last: Baseline, seen: Observation) -> Baseline:
    """The old revision as it is now where there is enough to tell, else as it last was."""
    rate = last.rate
    if gates.error_rate is not None and gates.error_rate.query is not None:
        rate = last.rate if seen.old_rate is None else seen.old_rate
    elif old.total >= gates.min_requests:
        rate = old.rate
    return Baseline(rate, last.latency if seen.old_latency is None else seen.old_latency)


def _judge_errors(gates: Gates, new: Tally, before: float, seen: Observation) -> Verdict:
    gate = gates.error_rate
    if gate is None:
        return Verdict()
    if gate.query is not None:
        if seen.new_rate is None:
            return _no_data(seen.why or "Prometheus says nothing of the new revision's errors")
        now = seen.new_rate
    elif new.total < gates.min_requests:
        return _no_data(f"{new.total} of {gates.min_requests} requests to the new revision are reported")
    else:
        now = new.rate
    if now - before <= gate.above:
        return Verdict()
    words = f"{now:.2%} of the new revision's requests failed, {before:.2%} of the old one's"
    return Verdict(Reason.ERROR_RATE, True, words)


def _judge_latency(gates: Gates, before: float | None, seen: Observation) -> Verdict:
    gate, now = gates.latency, seen.new_latency
    if gate is None:
        return Verdict()
    if now is None:
        return _no_data(seen.why or "Prometheus says nothing of the new revision's latency")
    if gate.above is not None and now > gate.above:
        words = f"the new revision takes {now:.3g} s, more than {gate.above:.3g} s"
        return Verdict(Reason.LATENCY, True, words)
    if gate.times is None:
        return Verdict()
    if before is None:
        return _no_data(seen.why or "Prometheus says nothing of the old revision's latency")
    if now <= gate.times * before:
        return Verdict()
    words = (
        f"the new revision takes {now:.3g} s, more than {gate.times:.3g} times the old one's {before:.3g} s"
    )
    return Verdict(Reason.LATENCY, True, words)


def _judge_health(gates: Gates, seen: Observation) -> Verdict:
    if not gates.health or seen.healthy:
        return Verdict()
    if seen.healthy is None:
        return _no_data(seen.why or "the new revision's backends are not checked yet")
    return Verdict(
        Reason.UNHEALTHY, False, seen.why or "not every backend of the new revision answers its check"
    )


def _no_data(words: str) -> Verdict:
    return Verdict(Reason.NO_DATA, False, words)
