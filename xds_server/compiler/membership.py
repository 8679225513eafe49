"""Membership: a token may only enter a workspace that its claim lists and that trusts its issuer.

One CEL condition for the fleet, no configuration per workspace: foreign and unknown workspaces look the same (403),
and the answer does not depend on whether a model exists. What grows is only the list of exceptions, where an issuer is
trusted by some workspaces and not by others.
"""

from __future__ import annotations

from envoy_data_plane.envoy.config.core.v3 import CelExpressionConfig
from envoy_data_plane.envoy.config.rbac.v3 import Permission, Policy, Principal, Rbac, RbacAction
from envoy_data_plane.envoy.extensions.filters.http.rbac.v3 import Rbac as RbacFilter
from envoy_data_plane.google.api.expr.v1alpha1 import Expr

from xds_server.graph import Authority, Graph

from . import cel
from .names import JWT_METADATA, PATH_METADATA, PATH_WORKSPACE
from .release import Feature
from .target import Target


def compile_membership(graph: Graph, target: Target) -> RbacFilter:
    """The RBAC filter that lets members of the path's workspace through, and nobody else."""
    issuers = [_admit(graph, authority, target) for _, authority in sorted(graph.authorities.items())]
    policy = Policy(
        permissions=[Permission(any=True)],
        principals=[Principal(any=True)],
        condition=cel.any_of(*issuers),
        cel_config=cel_config(target),
    )
    return RbacFilter(rules=Rbac(action=RbacAction.ALLOW, policies={"members": policy}))


def cel_config(target: Target) -> CelExpressionConfig | None:
    """What the condition of a policy needs to look at the path's workspace."""
    lacks = Feature.CEL_STRINGS in target.lacking
    return None if lacks else CelExpressionConfig(enable_string_functions=True)


def path_workspace(target: Target) -> Expr:
    """The workspace that a request's path names: of Envoy's normalised path, as the scope key is."""
    if Feature.CEL_STRINGS in target.lacking:
        metadata = cel.select(cel.ident("metadata"), "filter_metadata")
        return cel.index(metadata, PATH_METADATA, PATH_WORKSPACE)
    return cel.index(cel.call("split", cel.text("/"), target=cel.select(cel.ident("request"), "url_path")), 1)


def _admit(graph: Graph, authority: Authority, target: Target) -> Expr:
    spec = authority.issuer.spec
    payload = cel.index(cel.select(cel.ident("metadata"), "filter_metadata"), JWT_METADATA, authority.name)
    listed = cel.index(payload, *spec.workspaces_claim)
    # `in` on a map looks at its keys: a claim {"acme": false} would make a member. Only a list is a list.
    is_list = cel.equals(cel.call("type", listed), cel.ident("list"))
    workspace = path_workspace(target)
    bond = [] if spec.residency_claim is None else [_says_something(payload, spec.residency_claim)]
    trust = _trust(graph, authority.name, workspace)
    return cel.all_of(is_list, cel.contains(listed, workspace), *bond, *trust)


def _says_something(payload: Expr, path: tuple[str, ...]) -> Expr:
    """That a claim is not there, or is text: of an empty one, or of null, Envoy makes no header to bind by."""
    missing = []
    for name in path:
        missing.append(cel.negate(cel.contains(payload, cel.text(name))))
        payload = cel.index(payload, name)
    is_text = cel.equals(cel.call("type", payload), cel.ident("string"))
    return cel.any_of(*missing, cel.all_of(is_text, cel.negate(cel.equals(payload, cel.text("")))))


def _trust(graph: Graph, issuer: str, workspace: Expr) -> list[Expr]:
    reach = graph.find_reach(issuer)
    if reach.all_but and not reach.names:
        return []
    named = cel.contains(cel.texts(sorted(reach.names)), workspace)
    return [cel.negate(named) if reach.all_but else named]
