"""A workspace's part of the graph: its endpoints, with every reference resolved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from xds_server.policy import (
    BUILT_IN_ENVIRONMENTS,
    Diagnostic,
    Environment,
    Loaded,
    Manifest,
    Metadata,
    Policy,
    Severity,
    Workload,
    Workspace,
    WorkspaceSpec,
)

from .context import Context
from .endpoint import Endpoint, Trust
from .fault import fault
from .fleet import Fleet
from .graph import Tenant
from .reference import unknown_environment, unknown_issuer, unknown_policy, unknown_workspace
from .workload import build_endpoint

_A_SLIP = 0.9
"""How alike two names must be for one to be the other misspelt: a letter or two."""


@dataclass(frozen=True, slots=True)
class TenantSource:
    """The manifests of one workspace, as loaded."""

    workspace: Workspace | None
    environments: tuple[Environment, ...]
    policies: tuple[Policy, ...]
    workloads: tuple[Workload, ...]

    @property
    def manifests(self) -> tuple[Manifest, ...]:
        """All of them."""
        own = () if self.workspace is None else (self.workspace,)
        return (*own, *self.environments, *self.policies, *self.workloads)


_Built = tuple[Workload, Context, Endpoint | None, tuple[Diagnostic, ...]]


@dataclass
class EndpointCache:
    """Endpoints already built, so that a change of one manifest builds one endpoint."""

    known: dict[tuple[str, str], _Built] = field(default_factory=dict)
    context: Context | None = None

    def build(self, workloads: Iterable[Workload], context: Context, loaded: Loaded) -> Iterable[_Built]:
        """The endpoints of workloads, the same objects as last time where neither they nor their context changed."""
        same = context == self.context
        known, self.known, self.context = self.known, {}, context
        for workload in workloads:
            key = (workload.segment, workload.name)
            before = known.get(key)
            if before is None or before[0] is not workload or not same:
                narrow = context.narrow(workload, loaded)
                # What is said of a mistake may name others that the workload does not refer to.
                if before is None or before[0] is not workload or before[1] != narrow or before[3]:
                    endpoint, found = build_endpoint(workload, narrow)
                    before = (workload, narrow, endpoint, tuple(found))
            self.known[key] = before
            yield before


def build_tenant(
    source: TenantSource, fleet: Fleet, loaded: Loaded, cache: EndpointCache
) -> tuple[Tenant | None, list[Diagnostic]]:
    """Resolve one workspace. With any error among the diagnostics, the tenant is not to be used.

    Where no Workspace is declared, there is no tenant, but its manifests are looked at all the same.
    """
    if not source.manifests:
        return None, []
    environments = _index_environments(source)
    found: list[Diagnostic] = []
    if source.workspace is not None:
        found += _check_workspace(source.workspace, source, fleet, environments)
        found += _check_names(source, environments)
    workspace = source.workspace or _stand_in(source.manifests[0])
    if source.workspace is None:
        found += [unknown_workspace(manifest, workspace.name) for manifest in source.manifests]
    policies = {policy.name: policy for policy in source.policies}
    for environment in source.environments:
        found += [
            unknown_policy(environment, ("spec", "policies", at), name, workspace.name, policies)
            for at, name in enumerate(environment.spec.policies)
            if name not in policies
        ]
    trusts = tuple(
        Trust(name, fleet.authorities[name].issuer.spec.workspaces_claim)
        for name in workspace.spec.issuers
        if name in fleet.authorities
    )
    context = Context(workspace, trusts, environments, policies, fleet.places, loaded.attachments)
    endpoints = []
    for _, _, endpoint, faults in cache.build(source.workloads, context, loaded):
        found += faults
        if endpoint is not None:
            endpoints.append(endpoint)
    tenant = Tenant(
        name=workspace.name,
        default_environment=workspace.spec.default_environment,
        environments=tuple(environments),
        issuers=workspace.spec.issuers,
        endpoints=tuple(sorted(endpoints, key=lambda each: each.path)),
    )
    return tenant if source.workspace is not None else None, found


def _stand_in(manifest: Manifest) -> Workspace:
    """A workspace that nobody declared, trusting nobody."""
    return Workspace(metadata=Metadata(name=str(manifest.workspace)), spec=WorkspaceSpec(issuers=()))


def _index_environments(source: TenantSource) -> Mapping[str, Environment | None]:
    declared: dict[str, Environment | None] = dict.fromkeys(BUILT_IN_ENVIRONMENTS)
    declared.update({environment.name: environment for environment in source.environments})
    return dict(sorted(declared.items()))


def _check_workspace(
    workspace: Workspace, source: TenantSource, fleet: Fleet, environments: Mapping[str, object]
) -> list[Diagnostic]:
    found: list[Diagnostic] = [
        unknown_issuer(workspace, ("spec", "issuers", at), name, fleet.authorities)
        for at, name in enumerate(workspace.spec.issuers)
        if name not in fleet.authorities
    ]
    default = workspace.spec.default_environment
    if default not in environments:
        path = ("spec", "defaultEnvironment")
        found.append(unknown_environment(workspace, path, default, workspace.name, environments))
    if not workspace.spec.issuers and source.workloads:
        message = "trusts no issuer, so nobody can call its models"
        hint = "name an Issuer, unless that is what you want"
        found.append(
            fault(workspace, "nobody-trusted", ("spec", "issuers"), message, hint, severity=Severity.WARNING)
        )
    return found


def _check_names(
    source: TenantSource, environments: Mapping[str, Environment | None]
) -> Iterator[Diagnostic]:
    # `production` exists without being declared, so what a slip of the pen takes from it would not be missed.
    used = {to.environment for each in source.workloads for to in each.spec.deployments}
    undeclared = [name for name in used if name in environments and environments[name] is None]
    for environment in source.environments:
        for name in sorted(undeclared):
            if (
                environment.name not in used
                and environment.spec.policies
                and SequenceMatcher(None, environment.name, name).ratio() >= _A_SLIP
            ):
                message = f"nothing runs in it, while `{name}` is deployed to and has no policies"
                hint = f"did you mean `{name}`? If not, declare that one too"
                yield fault(environment, "misspelt-environment", ("metadata", "name"), message, hint)
