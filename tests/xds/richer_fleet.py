"""Resources beyond `simple_fleet`, for rules of single types: scopes, filters, secrets, runtime, on-demand clusters."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from envoy_data_plane.envoy.config.core.v3 import AggregatedConfigSource, ApiVersion, ConfigSource
from envoy_data_plane.envoy.extensions.filters.http.on_demand.v3 import OnDemand, OnDemandCds
from google.protobuf.json_format import ParseDict

from tests.xds.simple_fleet import resource
from xds_server.snapshot import Resource
from xds_server.wire import descriptor_pool, message_class, type_url

HERE = {"ads": {}, "resource_api_version": "V3"}
_TYPE = "type.googleapis.com/envoy.extensions."
_HCM = "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_LISTENER = "envoy.config.listener.v3.Listener"
_ON_DEMAND = "envoy.extensions.filters.http.on_demand.v3.OnDemand"
# Not among the messages that the server makes, so it has no class of the private pool.
_WAITS_FOR_EVER = OnDemand(
    odcds=OnDemandCds(
        source=ConfigSource(ads=AggregatedConfigSource(), resource_api_version=ApiVersion.V3),
        timeout=timedelta(hours=1),
    )
)
_MUTATION = _TYPE + "filters.http.header_mutation.v3.HeaderMutation"
_ROUTER = {"name": "router", "typed_config": {"@type": _TYPE + "filters.http.router.v3.Router"}}


def front(
    name: str, port: int, *filters: dict[str, Any], on_demand: bool = False, **manager: Any
) -> Resource:
    """A listener with these filters before the router; `manager` says where its routes come from. `on_demand`: the
    first of its filters asks for the cluster of a request when it is not there."""
    fields = {"stat_prefix": name, "http_filters": [*filters, _ROUTER], **manager}
    connections: Any = ParseDict(fields, message_class(_HCM)(), descriptor_pool=descriptor_pool())
    if on_demand:
        before = list(connections.http_filters)
        del connections.http_filters[:]
        first = connections.http_filters.add(name="on_demand")
        first.typed_config.type_url = "type.googleapis.com/" + _ON_DEMAND
        first.typed_config.value = bytes(_WAITS_FOR_EVER)
        connections.http_filters.extend(before)
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    listener: Any = ParseDict({"name": name, "address": address}, message_class(_LISTENER)())
    only = listener.filter_chains.add().filters.add(name="http")
    only.typed_config.type_url = "type.googleapis.com/" + _HCM
    only.typed_config.value = connections.SerializeToString(deterministic=True)
    return Resource.of(type_url(_LISTENER), name, listener.SerializeToString(deterministic=True))


def fetched_routes(name: str) -> dict[str, Any]:
    return {"rds": {"route_config_name": name, "config_source": HERE}}


def fetched_scopes() -> dict[str, Any]:
    """Scopes by the header `x-scope`."""
    header = {"name": "x-scope", "element_separator": ",", "index": 0}
    builder = {"fragments": [{"header_value_extractor": header}]}
    return {
        "scoped_routes": {
            "name": "scopes",
            "scope_key_builder": builder,
            "rds_config_source": HERE,
            "scoped_rds": {"scoped_rds_config_source": HERE},
        }
    }


def scope(name: str, route_name: str, *, on_demand: bool = False) -> Resource:
    fields = {
        "name": name,
        "on_demand": on_demand,
        "route_configuration_name": route_name,
        "key": {"fragments": [{"string_key": name}]},
    }
    return resource(name, "envoy.config.route.v3.ScopedRouteConfiguration", fields)


def routes(name: str, action: dict[str, Any], needs: tuple[str, ...] = ()) -> Resource:
    """A route configuration with one route to everything."""
    host = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **action}]}
    fields = {"name": name, "virtual_hosts": [host]}
    return resource(name, "envoy.config.route.v3.RouteConfiguration", fields, needs)


def saying(words: str) -> dict[str, Any]:
    return {"direct_response": {"status": 200, "body": {"inline_string": words}}}


def fetched_filter(name: str) -> dict[str, Any]:
    return {"name": name, "config_discovery": {"config_source": HERE, "type_urls": [_MUTATION]}}


def filter_config(name: str, value: str) -> Resource:
    """A filter that puts `x-filter: value` on each response."""
    header = {"header": {"key": "x-filter", "value": value}}
    mutation = {"@type": _MUTATION, "mutations": {"response_mutations": [{"append": header}]}}
    fields = {"name": name, "typed_config": mutation}
    return resource(name, "envoy.config.core.v3.TypedExtensionConfig", fields)


def authority(name: str, pem: str) -> Resource:
    """A secret: whose certificates are trusted."""
    fields = {"name": name, "validation_context": {"trusted_ca": {"inline_string": pem}}}
    return resource(name, "envoy.extensions.transport_sockets.tls.v3.Secret", fields)


def tls_cluster(name: str, secret: str, connect_timeout: str = "1s") -> Resource:
    """An EDS cluster whose endpoints are spoken to over TLS, and checked against a secret."""
    validation = {"name": secret, "sds_config": HERE}
    socket = {
        "@type": _TYPE + "transport_sockets.tls.v3.UpstreamTlsContext",
        "sni": "upstream.example",
        "common_tls_context": {"validation_context_sds_secret_config": validation},
    }
    fields = {
        "name": name,
        "type": "EDS",
        "connect_timeout": connect_timeout,
        "eds_cluster_config": {"eds_config": HERE},
        "transport_socket": {"name": "tls", "typed_config": socket},
    }
    return resource(name, "envoy.config.cluster.v3.Cluster", fields)


def no_endpoints(name: str) -> Resource:
    return resource(name, "envoy.config.endpoint.v3.ClusterLoadAssignment", {"cluster_name": name})


def runtime(name: str, values: dict[str, Any]) -> Resource:
    return resource(name, "envoy.service.runtime.v3.Runtime", {"name": name, "layer": values})


def with_runtime(bootstrap: dict[str, Any], name: str) -> dict[str, Any]:
    """A bootstrap that fetches a layer of runtime values too."""
    layers = [{"name": "fetched", "rtds_layer": {"name": name, "rtds_config": HERE}}]
    return bootstrap | {"layered_runtime": {"layers": [*layers, {"name": "admin", "admin_layer": {}}]}}
