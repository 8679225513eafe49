"""Scopes: one per endpoint, so that Envoy finds an endpoint's routes by one hash lookup, however many there are."""

from __future__ import annotations

from xds_server.graph import Endpoint
from xds_server.snapshot import Resource
from xds_server.wire import message_class

from .encode import encode
from .names import SCOPED_ROUTE_CONFIGURATION
from .target import Target


def compile_scope(endpoint: Endpoint, target: Target) -> Resource:
    """The scope whose key is (workspace, segment, name) and which names the endpoint's RouteConfiguration.

    Where models are fetched on demand, Envoy asks for the routes with the first request, but for those of warm ones.
    """
    on_demand = {"on_demand": True} if target.on_demand and not endpoint.warm else {}
    message = message_class(SCOPED_ROUTE_CONFIGURATION)(
        name=endpoint.path,
        route_configuration_name=endpoint.path,
        **on_demand,
        key={
            "fragments": [
                {"string_key": part} for part in (endpoint.workspace, endpoint.segment, endpoint.name)
            ]
        },
    )
    return encode(message, endpoint.path, endpoint.origin)
