"""A declared rollout as a plan, and a split that follows it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from xds_server.policy import Rollout, format_duration
from xds_server.rollout import Breach, ErrorRate, Gates, Latency, Plan, Query, Step, Wish

from .endpoint import Revision

_ALL: Final = 100


def build_plan(spec: Rollout) -> Plan:
    """The plan that a manifest declares; one of its three forms is given."""
    steps, title = _build_steps(spec)
    return Plan(
        old=spec.from_,
        new=spec.to,
        title=title,
        steps=steps,
        gates=_build_gates(spec),
        on_breach=Breach(spec.on_breach),
        wish=Wish(spec.state),
    )


def divide(revisions: Iterable[Revision], plan: Plan, percent: int) -> tuple[Revision, ...]:
    """The revisions with the weights at which the new one has so many percent; all but the two are out."""
    weights = {plan.old: _ALL - percent, plan.new: percent}
    return tuple(
        each if each.weight == weights.get(each.name, 0) else replace(each, weight=weights.get(each.name, 0))
        for each in revisions
    )


def _build_steps(spec: Rollout) -> tuple[tuple[Step, ...], str]:
    if spec.linear is not None:
        count, over = spec.linear.steps, spec.linear.over
        steps = tuple(Step(round(_ALL * at / count), over / count) for at in range(1, count + 1))
        return steps, f"linear over {format_duration(over)} in {count} steps"
    if spec.canary is not None:
        steps = tuple(Step(percent, spec.step_time) for percent in spec.canary)
        return steps, "canary " + ", ".join(map(str, spec.canary))
    return (Step(_ALL, spec.step_time),), "blue-green"


def _build_gates(spec: Rollout) -> Gates:
    by_health = spec.blue_green is not None
    gates = spec.gates
    if gates is None:
        return Gates(health=by_health)
    errors, latency = gates.error_rate, gates.latency
    return Gates(
        error_rate=None
        if errors is None
        else ErrorRate(
            errors.above / 100,
            None if errors.prometheus is None else Query(errors.prometheus.url, errors.prometheus.query),
        ),
        latency=None
        if latency is None
        else Latency(Query(latency.prometheus.url, latency.prometheus.query), latency.above, latency.times),
        health=gates.health or by_health,
        min_requests=gates.min_requests,
    )
