"""What resources are written for: the client's way to fetch, and what its release can't take."""

from __future__ import annotations

from typing import NamedTuple

from envoy_data_plane.envoy.config.core.v3 import ConfigSource
from google.protobuf.message import Message

from xds_server.snapshot import Dialect, Transport

from .release import Feature, find_lacking
from .source import source, typed_source


class Target(NamedTuple):
    """Clients that are sent the same bytes for the same policies."""

    transport: Transport = "ads"
    lacking: frozenset[Feature] = frozenset()

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


def find_target(dialect: Dialect) -> Target:
    """What a client of this dialect is sent. Dialects that differ in nothing share it."""
    return Target(dialect.transport, find_lacking(dialect.release))
