"""Rollout: how a deployment's traffic moves from one revision to another by itself."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from xds_server.policy.kinds.base import Part, part
from xds_server.policy.kinds.duration import Duration
from xds_server.policy.kinds.names import Shown, WorkloadName

Percent = Annotated[int, Field(ge=1, le=100), Shown("whole number from 1 to 100")]
PercentagePoints = Annotated[float, Field(ge=0, le=100), Shown("number from 0 to 100")]
Times = Annotated[float, Field(ge=1, le=1000), Shown("number, 1 or more")]
Url = Annotated[str, StringConstraints(min_length=1, max_length=2048), Shown("URL")]
PromQl = Annotated[str, StringConstraints(min_length=1, max_length=8192), Shown("PromQL")]


@part
class PrometheusQuery(Part):
    """A question to Prometheus, asked once for each of the two revisions."""

    url: Url = Field(description="Where Prometheus is.", examples=["http://prometheus:9090"])
    query: PromQl = Field(
        description="What to ask: PromQL that gives one number. `$cluster` stands for the revision's cluster, "
        "`$workspace`, `$model`, `$environment` and `$revision` for the parts of its name.",
        examples=['my_errors:ratio1m{cluster="$cluster"}'],
    )


@part
class ErrorRateGate(Part):
    """How much more often the new revision may fail than the old one."""

    above: PercentagePoints = Field(
        description="By how many percentage points the new revision's share of failed requests may lie above the old "
        "one's.",
        examples=[1],
    )
    prometheus: PrometheusQuery | None = Field(
        default=None,
        description="Where the share of failed requests, from 0 to 1, comes from. Without it, from the load reports of "
        "the Envoys, which count answers of 5xx, resets and timeouts.",
    )


@part
class LatencyGate(Part):
    """How slow the new revision may be. At least one of `above` and `times` is given."""

    above: Duration | None = Field(
        default=None, description="How long it may take, whatever the old one takes.", examples=["2s"]
    )
    times: Times | None = Field(
        default=None, description="How many times as long as the old one it may take.", examples=[1.5]
    )
    prometheus: PrometheusQuery = Field(
        description="Where latencies come from, in seconds: load reports don't have them."
    )


@part
class Gates(Part):
    """What must hold for a step to pass. What there is no data for holds a step up, and never lets it pass."""

    error_rate: ErrorRateGate | None = Field(
        default=None, description="How much more often the new revision may fail than the old one."
    )
    latency: LatencyGate | None = Field(default=None, description="How slow the new revision may be.")
    health: bool = Field(
        default=False,
        description="Whether every backend of the new revision must answer its health check, asked by the control "
        "plane for as long as an Envoy may take to see it, before a step begins. Always so with `blueGreen`.",
        examples=[True],
    )
    min_requests: Annotated[int, Field(ge=1, le=10**9)] = Field(
        default=50,
        description="How many requests to the new revision must be reported in a step before its share of failed ones "
        "says anything.",
        examples=[50],
    )


@part
class Linear(Part):
    """Equal steps, evenly spread over a time."""

    over: Duration = Field(description="The time from the first step to the end.", examples=["1h"])
    steps: Annotated[int, Field(ge=1, le=100)] = Field(
        default=20, description="How many steps.", examples=[20]
    )


@part
class BlueGreen(Part):
    """All traffic at once, as soon as every Envoy must have seen that the new revision is healthy."""


@part
class Rollout(Part):
    """How traffic moves from one revision to another: one of `canary`, `linear` and `blueGreen` says in which steps."""

    from_: WorkloadName = Field(
        alias="from", description="The revision that has the traffic now.", examples=["v1"]
    )
    to: WorkloadName = Field(description="The revision that is to have it.", examples=["v2"])
    canary: tuple[Percent, ...] | None = Field(
        default=None,
        min_length=1,
        description="The new revision's share in each step, in percent: rising, and 100 in the last.",
        examples=[[5, 25, 50, 100]],
    )
    linear: Linear | None = Field(default=None, description="Equal steps, evenly spread over a time.")
    blue_green: BlueGreen | None = Field(
        default=None,
        description="Write `{}`: all traffic at once, as soon as every Envoy must have seen that each backend of the "
        "new revision answers its health check.",
    )
    step_time: Duration = Field(
        default=300.0,
        description="How long a step is watched at least, the last one included. Not with `linear`.",
        examples=["5m"],
    )
    gates: Gates | None = Field(
        default=None, description="What must hold for a step to pass. Without it, time alone decides."
    )
    on_breach: Literal["pause", "revert"] = Field(
        default="pause",
        description="What becomes of the rollout when the new revision fails a gate: `pause` keeps its share until "
        "somebody decides, `revert` gives all traffic back to the old one.",
        examples=["revert"],
    )
    state: Literal["running", "paused", "frozen", "promoted", "cancelled"] = Field(
        default="running",
        description="What should become of it. `paused`: the share stays, gates are watched. `frozen`: the share "
        "stays, nothing is watched. `promoted`: all traffic to the new revision. `cancelled`: all back to the old one. "
        "Anything but `running` counts more than what operators say on the command line.",
        examples=["paused"],
    )
