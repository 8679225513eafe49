"""The resource types with a place in the order of things, by URL."""

from __future__ import annotations

from typing import Final

_PREFIX: Final = "type.googleapis.com/"

RUNTIME: Final = _PREFIX + "envoy.service.runtime.v3.Runtime"
CLUSTER: Final = _PREFIX + "envoy.config.cluster.v3.Cluster"
ENDPOINT: Final = _PREFIX + "envoy.config.endpoint.v3.ClusterLoadAssignment"
SECRET: Final = _PREFIX + "envoy.extensions.transport_sockets.tls.v3.Secret"
EXTENSION: Final = _PREFIX + "envoy.config.core.v3.TypedExtensionConfig"
LISTENER: Final = _PREFIX + "envoy.config.listener.v3.Listener"
SCOPE: Final = _PREFIX + "envoy.config.route.v3.ScopedRouteConfiguration"
ROUTE: Final = _PREFIX + "envoy.config.route.v3.RouteConfiguration"

ORDER: Final = (RUNTIME, CLUSTER, ENDPOINT, SECRET, EXTENSION, LISTENER, SCOPE, ROUTE)
"""Make before break: what is referred to goes before what refers to it. Runtime is first because Envoy asks for it
first, and for nothing else before it is answered.
https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#eventual-consistency-considerations"""

WILDCARD: Final = frozenset({CLUSTER, LISTENER, SCOPE})
"""Types of which a client can ask for everything, and of which a state-of-the-world answer is the full set.
The documentation says so of CDS and LDS; Envoy does it with scoped routes too."""

REFERRERS: Final = (LISTENER, SCOPE, EXTENSION, ROUTE)
"""Types whose resources may refer to clusters (`Resource.needs`, `Resource.uses`)."""


ALONE: Final = frozenset({SECRET})
"""Types of which a response brings one resource at most. A secret that Envoy refuses and is sent again as it is, it
accepts without using it, so that nobody could find out afterwards which of several it refused."""


def short(type_url: str) -> str:
    """Return the last part of a type URL, for people: `Cluster`."""
    return type_url.rpartition(".")[2]
