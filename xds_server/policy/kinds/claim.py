"""Conditions on the claims of a caller's token."""

from __future__ import annotations

from pydantic import Field

from xds_server.policy.kinds.base import Part, part
from xds_server.policy.kinds.names import ClaimPath, Word


@part
class ClaimRule(Part):
    """A condition on one claim of the caller's token."""

    claim: ClaimPath = Field(
        description="The claim: its name, or the list of names that leads to it.",
        examples=["role", ["realm_access", "roles"]],
    )
    any_of: tuple[Word, ...] = Field(
        description="The claim must be, or hold, one of these. `[]` lets nobody in.",
        examples=[["admin", "member"]],
    )


@part
class Testers(Part):
    """Who may choose a revision, also one out of the split: `?revision=v2`, or `x-fairlead-use-revision: v2`."""

    claims: tuple[ClaimRule, ...] = Field(
        min_length=1,
        description="Conditions on the caller's token, all of which must hold, beside those of `access`.",
        examples=[[{"claim": "role", "anyOf": ["tester"]}]],
    )
