"""Delivery: whether a gateway's Envoys have all models from the start, or fetch each with its first request."""

from __future__ import annotations

from typing import Final, Literal

from .graph import Edge, Graph

Delivery = Literal["eager", "on-demand"]

LARGE: Final = 1_000
"""The most endpoints that ``auto`` sends to every Envoy."""


def find_delivery(graph: Graph, edge: Edge) -> Delivery:
    """How models come to a gateway's Envoys, where these can fetch on demand.

    ``auto`` looks at nothing but how many endpoints there are now, so that every replica says the same, also after a
    restart. Clients without Envoy are always served eagerly.
    """
    chosen = edge.gateway.spec.delivery
    if edge.gateway.spec.proxyless is not None:
        return "eager"
    if chosen != "auto":
        return chosen
    return "on-demand" if len(graph.endpoints) > LARGE else "eager"
