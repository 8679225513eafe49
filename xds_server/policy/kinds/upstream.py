"""How an Envoy deals with a deployment's backends: when it asks again, how long it waits, how much it sends at once."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from xds_server.policy.kinds.base import Part, part
from xds_server.policy.kinds.duration import Duration

Bound = Annotated[int, Field(ge=1, le=2**32 - 1)]


@part
class Retries(Part):
    """When a request is sent again, to another backend where there is one.

    Always: if no connection came about, or the request was refused or lost before it was sent. If its method is
    idempotent, also if the backend goes away before it answers, or answers 503.
    """

    attempts: Annotated[int, Field(ge=0, le=10)] = Field(
        default=3,
        description="How often a request is sent again at most; 0 is never. In all, retries are kept to a quarter of "
        "the requests in progress (10 at once are always allowed).",
        examples=[2],
    )
    retry_non_idempotent: bool = Field(
        default=False,
        description="Whether POST, PATCH and other methods that are not idempotent are treated like those that are. "
        "The model may then run a request more than once.",
        examples=[True],
    )
    retry_on_429: bool = Field(
        default=False,
        alias="retryOn429",
        description="Whether a request that a backend answers with 429 goes to another backend, whatever its method. "
        "None is asked twice, so no `Retry-After` is ignored; when all say 429, the last answer is passed.",
        examples=[True],
    )
    per_try_timeout: Duration | None = Field(
        default=None,
        description="How long a backend may take to begin its answer, once it has the whole request. Without it, "
        "`timeouts` bound the wait. An idempotent request then goes to another backend.",
        examples=["30s"],
    )


@part
class UpstreamTimeouts(Part):
    """How long an Envoy waits for the deployment's backends."""

    connect: Duration = Field(default=2.0, description="For a connection to a backend.", examples=["2s"])
    idle: Duration | None = Field(
        default=None,
        description="For the next byte, in either direction. Without it, the gateway's.",
        examples=["100s"],
    )
    total: Duration | None = Field(
        default=None,
        description="For the whole of a request, retries included. Without it, the gateway's.",
        examples=["15m"],
    )


@part
class UpstreamLimits(Part):
    """What one Envoy sends to one revision at a time, all places together. Beyond, the answer is 503 `OVERLOADED`."""

    connections: Bound | None = Field(
        default=None, description="Connections to its backends at once.", examples=[1000]
    )
    pending_requests: Bound | None = Field(
        default=None, description="Requests that wait for a connection at once.", examples=[100]
    )
    requests: Bound | None = Field(default=None, description="Requests in progress at once.", examples=[500])
