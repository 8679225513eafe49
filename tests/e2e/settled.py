"""When a fleet is at rest: each Envoy has asked for all that it wants, was sent it, and has acknowledged it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from tests.e2e.held import has_all
from tests.envoy_process import EnvoyProcess

_ALWAYS = {"Cluster", "Listener"}
"""What every Envoy asks for, first of all."""


def is_settled(
    told: Mapping[str, Any], nodes: Iterable[str] = (), envoys: Mapping[str, EnvoyProcess] | None = None
) -> bool:
    """Whether nodes have acknowledged all of what is served now, as `/nodes` tells.

    A control plane knows of what it was asked for, and no more: one that has just started has not heard of everything
    yet, and an Envoy acknowledges what leads to routes, endpoints or secrets before it asks for these. So the `envoys`,
    by their nodes, are asked as well.
    """
    wanted = {*nodes, *(envoys or ())}
    found = {node["id"]: node for node in told["nodes"] if node["id"] in wanted}
    if told["generation"] is None or found.keys() < wanted:
        return False
    if not all(_is_in_step(node, told["generation"]) for node in found.values()):
        return False
    return all(has_all(envoy, _asked(found[name])) for name, envoy in (envoys or {}).items())


def _is_in_step(node: Mapping[str, Any], generation: int) -> bool:
    there = node["connected"] and node["synced"] and _asked(node) >= _ALWAYS
    return bool(there) and all(stream["generation"] == generation for stream in node["streams"])


def _asked(node: Mapping[str, Any]) -> set[str]:
    """The types that a node has asked for, over all its streams."""
    return {kind for stream in node["streams"] for kind in stream["types"]}


def is_calm(told: Mapping[str, Any]) -> bool:
    """Whether nothing waits to be taken away, or is just being taken away: clusters stay a while after the last route
    to them went."""
    kinds = [
        kind for node in told["nodes"] for stream in node["streams"] for kind in stream["types"].values()
    ]
    return not any(kind["leaving"] or kind["in_flight"] for kind in kinds)
