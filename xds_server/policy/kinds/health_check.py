"""Health checks: how each Envoy finds out which backends of a revision answer."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from xds_server.policy.kinds.base import Part, part
from xds_server.policy.kinds.duration import Duration
from xds_server.policy.kinds.names import Port, Statuses, UrlPath, Word

Threshold = Annotated[int, Field(ge=1, le=1000)]


@part
class HealthCheck(Part):
    """How each Envoy finds out which backends of a revision answer."""

    type: Literal["http", "grpc", "tcp"] = Field(
        default="http",
        description="What is asked. `http`: a path. `grpc`: the service `grpc.health.v1.Health`; plain backends are "
        "then spoken to in HTTP/2, their requests included. `tcp`: whether a connection is accepted, which a load "
        "balancer in front of nothing does, too.",
        examples=["grpc"],
    )
    path: UrlPath = Field(
        default="/health", description="The path to ask for. Only with type `http`.", examples=["/health"]
    )
    service: Word | None = Field(
        default=None,
        description="The service to ask about. Without it, the server as a whole. Only with type `grpc`.",
        examples=["inference.GRPCInferenceService"],
    )
    interval: Duration = Field(
        default=5.0,
        description="The time between two checks. Each takes up to a fifth longer, at random, so that Envoys do not "
        "ask all at once.",
        examples=["5s"],
    )
    timeout: Duration = Field(
        default=1.0, description="How long an answer may take; no longer than `interval`.", examples=["1s"]
    )
    unhealthy_threshold: Threshold = Field(
        default=2, description="Failed checks in a row until the backend is out.", examples=[2]
    )
    healthy_threshold: Threshold = Field(
        default=1, description="Good checks in a row until it is back.", examples=[1]
    )
    expected_statuses: tuple[Statuses, ...] = Field(
        default=("200-299",),
        min_length=1,
        description="The HTTP statuses of a good answer: single ones, or ranges that hold both ends. Only with type "
        "`http`.",
        examples=[["200-299"]],
    )


@part
class BackendHealthCheck(Part):
    """What differs for this backend."""

    port: Port | None = Field(
        default=None, description="The port to check, where it is not the address's.", examples=[9090]
    )
    enabled: bool = Field(
        default=True,
        description="Whether this backend is checked. If not, it counts as healthy.",
        examples=[False],
    )
