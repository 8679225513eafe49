"""Overflow: when a share of a deployment's requests goes to the next place."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from xds_server.policy.kinds.base import Part, part
from xds_server.policy.kinds.names import Shown

Requests = Annotated[int, Field(ge=1, le=2**31 - 1), Shown("whole number, 1 or more")]
SharePercent = Annotated[int, Field(ge=1, le=99), Shown("whole number from 1 to 99")]


@part
class Overflow(Part):
    """When a share of the requests goes to the next place, counted for the Envoys of each region by themselves."""

    above: Requests = Field(
        description="So many requests in progress in the first place, as the region's Envoys report, are too many.",
        examples=[64],
    )
    below: Requests = Field(
        description="With fewer than so many, in the first place and the next together, all go to the first place "
        "again. Less than `above`.",
        examples=[48],
    )
    share: SharePercent = Field(
        description="The share of requests, in percent, that goes to the next place meanwhile.", examples=[30]
    )
