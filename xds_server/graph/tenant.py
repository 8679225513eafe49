"""A workspace's part of the graph: its endpoints, with every reference resolved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from xds_server.policy import (
    BUILT_IN_ENVIRONMENTS,
    Diagnostic,
    Environment,
    Loaded,
    Manifest,
    Policy,
    Severity,
    Workload,
    Workspace,
)

from .context import Context
from .endpoint import Endpoint, Trust
from .fault import fault, suggest
from .fleet import Fleet
from .graph import Tenant
from .workload import build_endpoint


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
                if before is None or before[0] is not workload or before[1] != narrow:
                    endpoint, found = build_endpoint(workload, narrow)
                    before = (workload, narrow, endpoint, tuple(found))
            self.known[key] = before
            yield before


def build_tenant(
    source: TenantSource, fleet: Fleet, loaded: Loaded, cache: EndpointCache
) -> tuple[Tenant | None, list[Diagnostic]]:
    """Resolve one workspace. With any error among the diagnostics, the tenant is not to be used."""
    workspace = source.workspace
    if workspace is None:
        return None, [_without_workspace(manifest) for manifest in source.manifests]
    found = _check_workspace(workspace, source, fleet)
    environments = _index_environments(source)
    policies = {policy.name: policy for policy in source.policies}
    for environment in source.environments:
        found += _check_references(environment, environment.spec.policies, policies)
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
    return tenant, found


def _index_environments(source: TenantSource) -> Mapping[str, Environment | None]:
    declared: dict[str, Environment | None] = dict.fromkeys(BUILT_IN_ENVIRONMENTS)
    declared.update({environment.name: environment for environment in source.environments})
    return dict(sorted(declared.items()))


def _without_workspace(manifest: Manifest) -> Diagnostic:
    name = manifest.workspace
    hint = f"declare it: `kind: Workspace`, `metadata: {{name: {name}}}`, and the issuers it trusts"
    path = ("metadata", "workspace")
    return fault(manifest, "unknown-workspace", path, f"there is no workspace `{name}`", hint)


def _check_workspace(workspace: Workspace, source: TenantSource, fleet: Fleet) -> list[Diagnostic]:
    found = []
    for at, name in enumerate(workspace.spec.issuers):
        if name not in fleet.authorities:
            hint = suggest(name, fleet.authorities, "declare it as an Issuer")
            message = f"there is no issuer `{name}`"
            found.append(fault(workspace, "unknown-issuer", ("spec", "issuers", at), message, hint))
    known = _index_environments(source)
    default = workspace.spec.default_environment
    if default not in known:
        hint = suggest(default, known, "declare it as an Environment")
        path = ("spec", "defaultEnvironment")
        found.append(
            fault(workspace, "unknown-environment", path, f"there is no environment `{default}`", hint)
        )
    if not workspace.spec.issuers and source.workloads:
        message = "trusts no issuer, so nobody can call its models"
        hint = "name an Issuer, unless that is what you want"
        found.append(
            fault(workspace, "nobody-trusted", ("spec", "issuers"), message, hint, severity=Severity.WARNING)
        )
    return found


def _check_references(
    manifest: Environment, names: tuple[str, ...], policies: Mapping[str, Policy]
) -> list[Diagnostic]:
    return [
        fault(
            manifest,
            "unknown-policy",
            ("spec", "policies", at),
            f"there is no policy `{name}` in workspace `{manifest.workspace}`",
            suggest(name, policies, "declare it as a Policy of this workspace"),
        )
        for at, name in enumerate(names)
        if name not in policies
    ]
