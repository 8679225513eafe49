"""The scope key: how Envoy finds an endpoint's routes without looking at any other endpoint."""

from __future__ import annotations

from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    ScopedRds,
    ScopedRoutes,
    ScopedRoutesScopeKeyBuilder,
    ScopedRoutesScopeKeyBuilderFragmentBuilder,
    ScopedRoutesScopeKeyBuilderFragmentBuilderHeaderValueExtractor,
)

from .names import PATH_HEADER
from .target import Target

# `/acme/models/llama/v1` split at `/`: 0 is empty, then workspace, segment, name.
_ELEMENTS = (1, 2, 3)


def scoped_routes(target: Target) -> ScopedRoutes:
    """Scopes and routes from the control plane, the key cut from the path header that the early mutation wrote."""
    fragments = [
        ScopedRoutesScopeKeyBuilderFragmentBuilder(header_value_extractor=_element(at)) for at in _ELEMENTS
    ]
    return ScopedRoutes(
        name="fairlead",
        scope_key_builder=ScopedRoutesScopeKeyBuilder(fragments=fragments),
        rds_config_source=target.typed_source,
        scoped_rds=ScopedRds(scoped_rds_config_source=target.typed_source),
    )


def _element(at: int) -> ScopedRoutesScopeKeyBuilderFragmentBuilderHeaderValueExtractor:
    return ScopedRoutesScopeKeyBuilderFragmentBuilderHeaderValueExtractor(
        name=PATH_HEADER, element_separator="/", index=at
    )
