"""The kinds of manifest: pydantic models, frozen, strict, without unknown keys.

In: the values of one document. Out: a typed manifest, or pydantic's errors. It must not read text or know
other manifests. Every field has a description and an example: the reference and the schema are made of them.
"""

from __future__ import annotations

from xds_server.policy.kinds.base import API_VERSION, Manifest
from xds_server.policy.kinds.gateway import Gateway
from xds_server.policy.kinds.issuer import Issuer
from xds_server.policy.kinds.location import Location
from xds_server.policy.kinds.policy import Policy
from xds_server.policy.kinds.policy_source import PolicySource
from xds_server.policy.kinds.workload import Agent, Function, Model
from xds_server.policy.kinds.workspace import Environment, Workspace

KINDS: dict[str, type[Manifest]] = {
    kind.kind: kind
    for kind in (
        Workspace,
        Environment,
        Policy,
        Model,
        Agent,
        Function,
        Gateway,
        Issuer,
        Location,
        PolicySource,
    )
}
"""Every kind by its name, in the order of the reference."""

FLEET_KINDS = frozenset({"Gateway", "Issuer", "Location", "PolicySource"})
"""The kinds that belong to no workspace: a mistake in one concerns the whole fleet."""

__all__ = ["API_VERSION", "FLEET_KINDS", "KINDS", "Manifest"]
