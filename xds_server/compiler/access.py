"""Access to one endpoint: the per-route RBAC that stands behind authentication.

It holds whatever stood before it: the token was verified for an issuer that this workspace trusts, its workspaces claim
lists the workspace, and the endpoint's own claim rules are met.
"""

from __future__ import annotations

from typing import Any

from xds_server.graph import ClaimRule, Endpoint, Trust
from xds_server.wire import message_class, pack

from .names import JWT_METADATA

TESTERS = "testers"
"""The policy by which a request is refused whose sender may not choose a revision."""

_RBAC_PER_ROUTE = "envoy.extensions.filters.http.rbac.v3.RBACPerRoute"


def compile_access(endpoint: Endpoint) -> dict[str, Any]:
    """The endpoint's RBACPerRoute as the content of an ``Any``. No trusted issuer: no principal, nobody passes."""
    policy = {"permissions": [{"any": True}], "principals": _describe(endpoint)}
    rules = {"action": "ALLOW", "policies": {"members": policy}}
    return pack(message_class(_RBAC_PER_ROUTE)(rbac={"rules": rules}))


def compile_testers(endpoint: Endpoint, testers: tuple[ClaimRule, ...]) -> dict[str, Any]:
    """The RBACPerRoute of routes for the endpoint's testers: refused is who has no access, and who is no tester.

    Two refusals rather than one permission, so that the answer can say which it was. What can't be read is refused.
    """
    access = _describe(endpoint)
    tester = [{"and_ids": {"ids": [_rule(trust, each) for each in testers]}} for trust in endpoint.trusts]
    policies = {
        name: {"permissions": [{"any": True}], "principals": [{"not_id": {"or_ids": {"ids": principals}}}]}
        for name, principals in (("access", access), (TESTERS, tester or [_nobody()]))
    }
    rules = {"action": "DENY", "policies": policies}
    return pack(message_class(_RBAC_PER_ROUTE)(rbac={"rules": rules}))


def _describe(endpoint: Endpoint) -> list[dict[str, Any]]:
    """Who has access: a principal for each trusted issuer. None of them: nobody."""
    principals = [
        {
            "and_ids": {
                "ids": [
                    _membership(trust, endpoint.workspace),
                    *([_present(trust)] if trust.residency_claim else []),
                    *(_rule(trust, each) for each in endpoint.rules),
                ]
            }
        }
        for trust in endpoint.trusts
    ]
    return principals or [_nobody()]


def _membership(trust: Trust, workspace: str) -> dict[str, Any]:
    return _claim(
        trust, trust.workspaces_claim, {"list_match": {"one_of": {"string_match": {"exact": workspace}}}}
    )


def _present(trust: Trust) -> dict[str, Any]:
    return _claim(trust, trust.residency_claim, {"present_match": True})


def _rule(trust: Trust, rule: ClaimRule) -> dict[str, Any]:
    if not rule.any_of:
        return _nobody()
    ids = []
    for value in rule.any_of:
        exact = {"string_match": {"exact": value}}
        ids.append(_claim(trust, rule.path, exact))
        ids.append(_claim(trust, rule.path, {"list_match": {"one_of": exact}}))
    return {"or_ids": {"ids": ids}}


def _claim(trust: Trust, path: tuple[str, ...], value: dict[str, Any]) -> dict[str, Any]:
    # The first key is the name under which the provider of this very issuer leaves the payload, so a claim of one
    # issuer is never read from the token of another.
    keys = [{"key": key} for key in (trust.issuer, *path)]
    return {"sourced_metadata": {"metadata_matcher": {"filter": JWT_METADATA, "path": keys, "value": value}}}


def _nobody() -> dict[str, Any]:
    return {"not_id": {"any": True}}
