"""Grounds: what each part of a graph was made of, so that it can be made again elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xds_server.policy import Roster

from .context import Context


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """The manifests that a workspace, or the fleet, was last good with.

    ``attachments`` holds the files of the policy set at that time, ``fleet`` the fleet's ground that the workspace's
    references led to; ``None`` for the fleet's own.
    """

    roster: Roster
    attachments: Mapping[str, bytes]
    fleet: Ground | None = None
    context: Context | None = field(default=None, repr=False)
    """What a workspace's workloads were resolved in, as long as the process knows."""


Grounds = Mapping[str | None, Ground]
"""By workspace; ``None`` is the fleet."""
