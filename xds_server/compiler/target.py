"""What resources are written for: the client's way to fetch, and what its release can't take."""

from __future__ import annotations

from typing import NamedTuple

from envoy_data_plane.envoy.config.core.v3 import ConfigSource
from google.protobuf.message import Message

from xds_server.bootstrap import source
from xds_server.snapshot import Dialect, Transport

from .release import Feature, can_fetch, find_lacking
from .source import typed_source


class Fetching(NamedTuple):
    """How clients that can fetch models with their first request are sent models."""

    total: float
    """Seconds for the whole of a request, which each route says: the connection manager's own limit is the time that a
    route may take to come."""
    on_demand: bool
    """Whether models are fetched with their first request; otherwise all are there from the start."""


class Target(NamedTuple):
    """Clients that are sent the same bytes for the same policies."""

    transport: Transport = "ads"
    lacking: frozenset[Feature] = frozenset()
    fetching: Fetching | None = None
    """`None`: the client cannot fetch on demand.

    Where it can, its listeners are the same whether it does or not: one that changes leaves open connections with the
    filters from before, for minutes, and without the one that fetches they would find no model any more."""

    @property
    def on_demand(self) -> bool:
        """Whether models are fetched with their first request."""
        return self.fetching is not None and self.fetching.on_demand

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


def find_target(dialect: Dialect, fetching: Fetching | None) -> Target:
    """What a client of this dialect is sent, of a gateway whose models come in this way (`None`: no Envoy's).

    Dialects that differ in nothing share it. Only the incremental variant over ADS can fetch on demand, and not in
    every release.
    """
    fetches = dialect.incremental and can_fetch(dialect.release)
    return Target(dialect.transport, find_lacking(dialect.release), fetching if fetches else None)
