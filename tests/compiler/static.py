"""A view as one static bootstrap, so that `envoy --mode validate` reads every resource in it.

What a fleet member gets over ADS is put in place here: filters for ECDS, scopes with their routes for SRDS and RDS,
endpoints for EDS, certificates for SDS.
"""

from __future__ import annotations

from typing import Any

from xds_server.compiler import show
from xds_server.snapshot import View, parked, reserve

_PREFIX = "type.googleapis.com/"
_LISTENER = f"{_PREFIX}envoy.config.listener.v3.Listener"
_ROUTES = f"{_PREFIX}envoy.config.route.v3.RouteConfiguration"
_SCOPE = f"{_PREFIX}envoy.config.route.v3.ScopedRouteConfiguration"
_CLUSTER = f"{_PREFIX}envoy.config.cluster.v3.Cluster"
_ENDPOINTS = f"{_PREFIX}envoy.config.endpoint.v3.ClusterLoadAssignment"
_EXTENSION = f"{_PREFIX}envoy.config.core.v3.TypedExtensionConfig"
_SECRET = f"{_PREFIX}envoy.extensions.transport_sockets.tls.v3.Secret"


def make_static(view: View) -> dict[str, Any]:
    """The bootstrap; raises KeyError where a resource refers to one that the view lacks."""
    listeners = [show(each) for each in view.resources(_LISTENER)]
    for listener in listeners:
        for chain in listener["filter_chains"]:
            manager = chain["filters"][-1]["typed_config"]
            manager["http_filters"] = [_place_filter(view, each) for each in manager["http_filters"]]
            scopes = manager["scoped_routes"]
            del scopes["scoped_rds"]
            scopes["rds_config_source"] = {"ads": {}}
            scopes["scoped_route_configurations_list"] = {
                "scoped_route_configurations": [
                    _place_routes(view, show(each)) for each in view.resources(_SCOPE)
                ]
            }
    keys = (_CLUSTER, reserve(_CLUSTER), parked(_CLUSTER))
    all_clusters = {each.name: each for key in keys for each in view.resources(key)}
    clusters = [_place_endpoints(view, show(each)) for each in all_clusters.values()]
    secrets = [show(each) for each in view.resources(_SECRET)]
    # Whoever asks for a cluster that a request waits for says who he is.
    bootstrap = {
        "node": {"id": "static", "cluster": "static"},
        "static_resources": {"listeners": listeners, "clusters": clusters, "secrets": secrets},
    }
    _drop_sources(bootstrap)
    return bootstrap


def _place_filter(view: View, http_filter: dict[str, Any]) -> dict[str, Any]:
    if "config_discovery" not in http_filter:
        return http_filter
    resource = view.get(_EXTENSION, http_filter["name"])
    if resource is None:
        raise KeyError(http_filter["name"])
    return show(resource)


def _place_routes(view: View, scope: dict[str, Any]) -> dict[str, Any]:
    routes = view.get(_ROUTES, scope.pop("route_configuration_name"))
    if routes is None:
        raise KeyError(scope["name"])
    return {**scope, "route_configuration": show(routes)}


def _place_endpoints(view: View, cluster: dict[str, Any]) -> dict[str, Any]:
    if cluster.get("type") != "EDS":
        return cluster
    endpoints = view.get(_ENDPOINTS, cluster["name"])
    if endpoints is None:
        raise KeyError(cluster["name"])
    del cluster["eds_cluster_config"]
    return {**cluster, "type": "STATIC", "load_assignment": show(endpoints)}


def _drop_sources(value: Any) -> None:
    # A secret without a source is looked up among the static ones.
    if isinstance(value, dict):
        value.pop("sds_config", None)
        for each in value.values():
            _drop_sources(each)
    elif isinstance(value, list):
        for each in value:
            _drop_sources(each)
