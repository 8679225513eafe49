"""Who is sent the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Transport = Literal["ads", "delta", "sotw"]


class Dialect(NamedTuple):
    """What a client can take, and how it fetches what a resource refers to."""

    transport: Transport = "ads"
    """`ads`: all types on one stream. `delta`, `sotw`: each type from its own service, in that variant."""
    release: tuple[int, int] | None = None
    """Envoy's major and minor version; `None` for another client, or one that does not say: it takes everything."""
    incremental: bool = False
    """Whether the stream of all types is of the incremental variant: what is fetched on demand needs it."""


class Audience(NamedTuple):
    """Nodes that are sent the same: one gateway's clients in one region that speak one dialect."""

    gateway: str
    region: str
    """`node.locality.region`."""
    dialect: Dialect = Dialect()


@dataclass(frozen=True, slots=True)
class Identity:
    """What a node says of itself, as far as it decides what the node is sent:
    https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/base.proto#config-core-v3-node
    """

    id: str
    cluster: str = ""
    """`node.cluster`: the gateway it is a member of, unless the gateways' rules say otherwise."""
    region: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """`node.metadata`, as JSON."""
