"""Which nodes belong to which gateway, and which certificates they must have."""

from __future__ import annotations

from collections.abc import Iterable

from xds_server.graph import Edge
from xds_server.snapshot import NodeRule


def compile_nodes(edges: Iterable[Edge]) -> list[NodeRule]:
    """One rule per gateway; one that says nothing claims the nodes whose ``node.cluster`` is its name."""
    return [_compile_rule(edge) for edge in edges]


def compile_identities(edges: Iterable[Edge]) -> dict[str, frozenset[str]]:
    """The certificate names of a gateway's nodes, by gateway; those that ask for no certificate are left out."""
    return {
        edge.name: frozenset(edge.gateway.spec.identities) for edge in edges if edge.gateway.spec.identities
    }


def _compile_rule(edge: Edge) -> NodeRule:
    nodes = edge.gateway.spec.nodes
    if nodes is None:
        return NodeRule(edge.name, frozenset({edge.name}))
    return NodeRule(edge.name, frozenset(nodes.clusters), nodes.ids, nodes.metadata)
