"""Routing: to which of the allowed places a deployment's requests go, and in which order."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from xds_server.policy.kinds.base import Part, part
from xds_server.policy.kinds.names import Name, Weight
from xds_server.policy.kinds.overflow import Overflow

_NO_WEIGHTS: dict[str, int] = {}


@part
class Routing(Part):
    """To which of the allowed places requests go, and in which order. Standby backends come last in any mode."""

    mode: Literal["nearest", "weighted", "pinned"] = Field(
        default="nearest",
        description="`nearest`: the place nearest to the Envoy that has the request, then the next. `weighted`: places "
        "share the requests by `weights`, whichever Envoy has them. `pinned`: one place, and never another.",
        examples=["weighted"],
    )
    order: tuple[Name, ...] = Field(
        default=(),
        min_length=1,
        description="The locations to try first, in this order, from everywhere; then the rest by distance. Only with "
        "mode `nearest`.",
        examples=[["eu-west-3", "eu-central-1"]],
    )
    weights: dict[Name, Weight] = Field(
        default_factory=lambda: _NO_WEIGHTS,
        min_length=1,
        description="The locations that share the requests, and their shares relative to each other; 0 takes a "
        "location out altogether. Those that are not named serve, by distance, when none that is named can. "
        "Required with mode `weighted`.",
        examples=[{"eu-west-3": 80, "us-east-1": 20}],
    )
    location: Name | None = Field(
        default=None,
        description="The one location to use. Required with mode `pinned`.",
        examples=["eu-west-3"],
    )
    overflow: Overflow | None = Field(
        default=None,
        description="When a share of the requests goes to the next place, because the first has too much to do. Only "
        "with mode `nearest`. Without it, requests go elsewhere only when the first place cannot serve.",
    )
    caller_choice: bool = Field(
        default=False,
        description="Whether callers may say where, within what policy allows: `x-fairlead-residency` binds a request "
        "to a continent (`eu`), a country (`country:fr`) or a location (`location:eu-west-3`), and "
        "`x-fairlead-location-hint` prefers a location. If not, a request that asks for a residency is refused, and "
        "hints say nothing.",
        examples=[True],
    )
