"""Access as the gateways decide it, for ``explain``: which claims open which endpoint."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .endpoint import Endpoint
from .graph import Authority, Graph
from .rule import ClaimRule

Claims = Mapping[str, Any]


def find_authority(graph: Graph, claims: Claims) -> Authority | None:
    """The declared issuer whose tokens carry such claims: ``iss`` must match, and ``aud`` where it is given."""
    for authority in graph.authorities.values():
        spec = authority.issuer.spec
        if claims.get("iss") == spec.issuer and (
            "aud" not in claims or _overlap(claims["aud"], spec.audiences)
        ):
            return authority
    return None


def is_member(graph: Graph, authority: Authority, claims: Claims, workspace: str) -> bool:
    """Whether the token's workspaces claim lists the workspace, and the issuer's tokens may enter it."""
    listed = _lookup(claims, authority.issuer.spec.workspaces_claim)
    return (
        isinstance(listed, list)
        and workspace in listed
        and graph.find_reach(authority.name).covers(workspace)
    )


def find_fence(graph: Graph, claims: Claims | None) -> Any:
    """What the token binds its caller's requests to, of whatever type; ``None`` if to nothing."""
    authority = find_authority(graph, claims) if claims is not None else None
    path = authority.issuer.spec.residency_claim if authority is not None else None
    return None if path is None else _lookup(claims, path)


def is_readable(authority: Authority, claims: Any) -> bool:
    """Whether the token's residency, if it has one, is text."""
    path = authority.issuer.spec.residency_claim
    if path is None:
        return True
    for key in path:
        if not isinstance(claims, Mapping):
            return False
        if key not in claims:
            return True
        claims = claims[key]
    return isinstance(claims, str) and claims != ""


def is_bound(graph: Graph, endpoint: Endpoint, claims: Claims) -> bool:
    """Whether the token has the residency that the workspace requires, if it does."""
    required = any(trust.residency_claim for trust in endpoint.trusts)
    return not required or find_fence(graph, claims) is not None


def meets_rules(endpoint: Endpoint, claims: Claims) -> bool:
    """Whether the claims meet all of the endpoint's own rules."""
    return meets(endpoint.rules, claims)


def meets(rules: Iterable[ClaimRule], claims: Claims) -> bool:
    """Whether the claims meet all of these rules."""
    return all(_overlap(_lookup(claims, rule.path), rule.any_of) for rule in rules)


def _lookup(claims: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        if not isinstance(claims, Mapping):
            return None
        claims = claims.get(key)
    return claims


def _overlap(value: Any, allowed: tuple[str, ...]) -> bool:
    values = value if isinstance(value, list) else [value]
    return any(isinstance(each, str) and each in allowed for each in values)
