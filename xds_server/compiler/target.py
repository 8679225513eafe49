"""What resources are written for: the client's way to fetch, and what its release can't take."""

from __future__ import annotations

from typing import NamedTuple

from envoy_data_plane.envoy.config.core.v3 import ConfigSource
from google.protobuf.message import Message

from xds_server.snapshot import Dialect, Transport

from .release import Feature, find_lacking
from .source import source, typed_source


class OnDemand(NamedTuple):
    """How models are fetched with their first request."""

    total: float
    """Seconds for the whole of a request, which each route says: the connection manager's own limit is the time that a
    route may take to come."""


class Target(NamedTuple):
    """Clients that are sent the same bytes for the same policies."""

    transport: Transport = "ads"
    lacking: frozenset[Feature] = frozenset()
    on_demand: OnDemand | None = None
    """`None`: all models are there from the start."""

    @property
    def source(self) -> Message:
        """The ConfigSource of all that a resource refers to."""
        return source(self.transport)

    @property
    def typed_source(self) -> ConfigSource:
        """The same as a message of envoy-data-plane."""
        return typed_source(self.transport)


NEWEST = Target()
"""The newest Envoy over ADS, and whoever does not say otherwise."""


def find_target(dialect: Dialect, on_demand: OnDemand | None) -> Target:
    """What a client of this dialect is sent, whose gateway has models fetched on demand, or not (`None`).

    Dialects that differ in nothing share it. Only the incremental variant over ADS can fetch on demand.
    """
    return Target(
        dialect.transport, find_lacking(dialect.release), on_demand if dialect.incremental else None
    )
