"""What goes into and out of a stream's state machine: plain values, no wire format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xds_server.protocol.refusal import Refusal
from xds_server.snapshot import Resource


@dataclass(frozen=True, slots=True)
class Node:
    """Who a client says it is:
    https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/base.proto"""

    id: str
    cluster: str = ""
    """The gateway it is a member of."""
    region: str = ""
    """`locality.region`."""
    agent: str = ""
    """Its program and version, for people: `envoy 1.40.0`."""
    release: tuple[int, int] | None = None
    """Envoy's major and minor version, if it is an Envoy and says so (`user_agent_build_version`)."""
    metadata: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """As JSON."""
    features: frozenset[str] = frozenset()
    """`client_features`: https://www.envoyproxy.io/docs/envoy/latest/api/client_features"""


@dataclass(frozen=True, slots=True)
class Request:
    """A request of either variant; fields of the other variant are left empty.

    https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/discovery/v3/discovery.proto
    """

    type_url: str
    nonce: str = ""
    error: str | None = None
    """The text of `error_detail` when there is one (a NACK), even if the text is empty."""
    names: tuple[str, ...] = ()
    """State of the world: everything subscribed."""
    version: str = ""
    """State of the world: the last version accepted."""
    subscribe: tuple[str, ...] = ()
    unsubscribe: tuple[str, ...] = ()
    initial_versions: Mapping[str, str] = field(default_factory=dict)
    """Delta, first request of a type on a stream: what the client holds."""
    node: Node | None = None


@dataclass(frozen=True, slots=True)
class Response:
    """A response of either variant. `removed` is delta's. `version` is the set's: informative in delta."""

    type_url: str
    nonce: str
    version: str
    resources: tuple[Resource, ...]
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Accepted:
    """A client took a response."""

    type_url: str
    nonce: str
    version: str
    resources: int
    seconds: float
    """From the response to the acknowledgement."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A client refused a response. `refusals` are the resources blamed; `text` is the client's, cleaned."""

    type_url: str
    nonce: str
    version: str
    text: str
    refusals: tuple[Refusal, ...]
    seconds: float


Event = Accepted | Refused
