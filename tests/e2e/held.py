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


def _list(envoy: EnvoyProcess, path: str, key: str) -> Iterator[dict[str, Any]]:
    for part in envoy.get(path).json().get("configs", ()):
        if key in part:
            yield from part[key] if isinstance(part[key], list) else [part[key]]
