"""Traffic: how a deployment's requests are dealt to its revisions, beyond their weights."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from xds_server.policy.kinds.base import Part, part
from xds_server.policy.kinds.duration import Duration
from xds_server.policy.kinds.names import ClaimPath, CookieName, HeaderName, WorkloadName


@part
class StickyCookie(Part):
    """A cookie by which callers are known again. A caller who has no key of any kind is given one."""

    name: CookieName = Field(description="What the cookie is called.", examples=["fairlead-session"])
    ttl: Duration = Field(
        default=3600.0,
        description="How long a caller keeps it: at least a second, in whole seconds.",
        examples=["1h"],
    )


@part
class Sticky(Part):
    """By what callers are known again, so that each stays with one revision of the split. Tried in this order."""

    header: HeaderName | None = Field(
        default=None, description="A request header that names the caller.", examples=["x-user-id"]
    )
    claim: ClaimPath | None = Field(
        default=None,
        description="A claim of the caller's token, a text, number or truth value: its name, or the list of "
        "names that leads to it.",
        examples=["sub", ["account", "id"]],
    )
    cookie: StickyCookie | None = Field(default=None, description="A cookie that the gateway makes.")


@part
class Shadow(Part):
    """A revision outside the split that is sent a copy of requests; its answers are thrown away."""

    revision: WorkloadName = Field(description="The revision; its weight is 0.", examples=["v3"])
    percent: Annotated[float, Field(ge=0.01, le=100)] = Field(
        default=100.0, description="The share of requests that are copied, in steps of 0.01.", examples=[10]
    )
