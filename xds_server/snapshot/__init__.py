"""Snapshot: resources in, an indexed catalogue and the difference between two views of it out.

Input: `Resource`s (type, name, version, bytes) in three layers: shared by the whole fleet, one per gateway,
one per region; the `Layers` of another dialect on demand.
Output: a `Catalogue`, the `View` that one `Audience` (gateway, region, dialect) has of it, and `diff` between
two views.

Everything here is immutable to all who look, and carries bytes, or a `Recipe` for them until somebody wants them. This
room must not encode anything itself, do I/O, or know what is inside a body; it knows Envoy's types by their URL only.
"""

from xds_server.snapshot.audience import Audience, Dialect, Identity, Transport
from xds_server.snapshot.catalogue import Catalogue
from xds_server.snapshot.deferred import Deferred, Recipe, Workshop
from xds_server.snapshot.difference import Diff, diff
from xds_server.snapshot.layers import Layers, Regional
from xds_server.snapshot.nodes import NodeRule
from xds_server.snapshot.parking import (
    WAITED_ENVIRONMENT,
    WAITED_PATH,
    WAITED_REVISIONS,
    WAITS,
    WAITS_LOG,
    is_parked,
    parked,
)
from xds_server.snapshot.reserve import is_reserve, reserve, type_of
from xds_server.snapshot.resource import Layer, Resource, layer
from xds_server.snapshot.view import View

__all__ = [
    "WAITED_ENVIRONMENT",
    "WAITED_PATH",
    "WAITED_REVISIONS",
    "WAITS",
    "WAITS_LOG",
    "Audience",
    "Catalogue",
    "Deferred",
    "Dialect",
    "Diff",
    "Identity",
    "Layer",
    "Layers",
    "NodeRule",
    "Recipe",
    "Regional",
    "Resource",
    "Transport",
    "View",
    "Workshop",
    "diff",
    "is_parked",
    "is_reserve",
    "layer",
    "parked",
    "reserve",
    "type_of",
]
