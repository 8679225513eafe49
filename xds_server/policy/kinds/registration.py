"""Registration: whether backends of a revision may say themselves where they are."""

from __future__ import annotations

from pydantic import Field

from xds_server.policy.kinds.base import Part, part
from xds_server.policy.kinds.duration import Duration


@part
class Registration(Part):
    """Backends say themselves where they are, and that they are still there. Policies bind them like any other."""

    ttl: Duration = Field(
        default=30.0,
        description="How long a backend that says nothing more is still served, unless it asked for less.",
        examples=["30s"],
    )
