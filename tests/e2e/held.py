"""What an Envoy holds, as its own dump of its configuration says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.envoy_process import EnvoyProcess


def hold_places(envoy: EnvoyProcess, cluster: str) -> list[dict[str, Any]]:
    """The places of a cluster, as `LocalityLbEndpoints`; an Envoy without the cluster is a failure."""
    [found] = [
        config.get("endpoints", [])
        for each in _list(envoy, "/config_dump?include_eds", "dynamic_endpoint_configs")
        if (config := each["endpoint_config"]).get("cluster_name") == cluster
    ]
    return list(found)


def hold_order(envoy: EnvoyProcess, cluster: str) -> list[tuple[int, str, int]]:
    """The places of a cluster: priority, zone, weight; in this order, the larger share first."""
    told = [
        (each.get("priority", 0), each["locality"]["zone"], each.get("load_balancing_weight", 1))
        for each in hold_places(envoy, cluster)
    ]
    return sorted(told, key=lambda each: (each[0], -each[2]))


def hold_health(envoy: EnvoyProcess, cluster: str) -> dict[str, bool]:
    """Whether each backend of a cluster is well, by its address; nothing while the Envoy has no such cluster."""
    told = [line.split("::") for line in envoy.get("/clusters").text.splitlines()]
    return {
        each[1]: each[3] == "healthy" for each in told if each[0] == cluster and each[2:3] == ["health_flags"]
    }


def hold_split(envoy: EnvoyProcess, model: str) -> dict[str, float]:
    """The revisions to which requests without an environment go, each with its percent of them.

    Nothing while the Envoy has no routes of the model. `model` is a path, as `acme/models/llama`.
    """
    for each in _list(envoy, "/config_dump?resource=dynamic_route_configs", "route_config"):
        if each["name"] == model:
            action = each["virtual_hosts"][0]["routes"][-1]["route"]
            alone = {"clusters": [{"name": action.get("cluster"), "weight": 1}]}
            split = action.get("weighted_clusters", alone)["clusters"]
            total = sum(part["weight"] for part in split)
            return {part["name"].rpartition("/")[2]: 100 * part["weight"] / total for part in split}
    return {}


_KINDS = {
    "Listener": ("dynamic_listeners", "name"),
    "Cluster": ("dynamic_active_clusters", "cluster.name"),
    "ScopedRouteConfiguration": ("dynamic_scoped_route_configs", "name"),
    "RouteConfiguration": ("dynamic_route_configs", "route_config.name"),
    "Secret": ("dynamic_active_secrets", "name"),
    "TypedExtensionConfig": ("ecds_filters", "ecds_filter.name"),
}
"""Types, each with where the dump has what an Envoy holds of it, and with the part of that which is small."""


def has_all(envoy: EnvoyProcess, asked: set[str]) -> bool:
    """Whether an Envoy that has asked for these types wants nothing more: it has nothing of another type, nothing
    warms, and no scope that is to have routes is without."""
    if any(_has(envoy, kind) for kind in {*_KINDS, "ClusterLoadAssignment"} - asked):
        return False
    if any(envoy.stats("manager.*warming").values()):
        return False
    if "Secret" in asked and _configs(envoy, "resource=dynamic_warming_secrets"):
        return False
    scopes = {
        scope["route_configuration_name"]
        for each in _configs(envoy, "resource=dynamic_scoped_route_configs")
        for scope in each.get("scoped_route_configs", ())
        if not scope.get("on_demand")
    }
    if not scopes:
        return True
    routes = _configs(envoy, "resource=dynamic_route_configs&mask=route_config.name")
    return scopes <= {each["route_config"]["name"] for each in routes if "route_config" in each}


def _has(envoy: EnvoyProcess, kind: str) -> bool:
    """Whether an Envoy holds something of a type, as one that has just come back does before it has asked for it."""
    if kind == "ClusterLoadAssignment":
        clusters = _configs(envoy, "resource=dynamic_active_clusters&mask=cluster.type")
        return any(each.get("cluster", {}).get("type") == "EDS" for each in clusters)
    where, name = _KINDS[kind]
    return bool(_configs(envoy, f"resource={where}&mask={name}"))


def _configs(envoy: EnvoyProcess, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = envoy.get(f"/config_dump?{query}").json().get("configs", [])
    return found


def _list(envoy: EnvoyProcess, path: str, key: str) -> Iterator[dict[str, Any]]:
    for part in envoy.get(path).json().get("configs", ()):
        if key in part:
            yield from part[key] if isinstance(part[key], list) else [part[key]]
