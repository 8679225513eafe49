"""A workspace's part of the graph: its endpoints, with every reference resolved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from xds_server.policy import (
    BUILT_IN_ENVIRONMENTS,
    AnyPolicy,
    Diagnostic,
    Environment,
    Loaded,
    Manifest,
    Metadata,
    Policy,
    Roster,
    Severity,
    Workload,
    Workspace,
    WorkspaceSpec,
)
from xds_server.shards import EMPTY, Shards

from .context import Context, Difference
from .deferral import defer_endpoint
from .endpoint import Endpoint, Trust, path_of
from .fault import fault
from .fleet import Fleet
from .graph import Authority, Tenant
from .reference import unfollowed_policy, unknown_environment, unknown_issuer, unknown_workspace
from .workload import build_endpoint

_A_SLIP = 0.9
"""How alike two names must be for one to be the other misspelt: a letter or two."""


@dataclass(frozen=True, slots=True)
class TenantSource:
    """The manifests of one workspace, as loaded; ``workloads`` by kind and name."""

    roster: Roster
    workspace: Workspace | None = None
    environments: tuple[Environment, ...] = ()
    policies: tuple[Policy, ...] = ()

    @classmethod
    def of(cls, roster: Roster) -> TenantSource:
        """What a workspace's roster holds."""
        workspace = next(iter(roster.list(Workspace)), None)
        return cls(roster, workspace, roster.list(Environment), roster.list(Policy))

    @property
    def workloads(self) -> Shards[Workload]:
        """The workloads."""
        return self.roster.workloads


class EndpointCache:
    """Endpoints already built, so that a change of one manifest builds one endpoint."""

    def __init__(self) -> None:
        self.endpoints: Shards[Endpoint] = EMPTY
        self._workloads: Shards[Workload] = EMPTY
        self._context: Context | None = None
        self._faults: dict[str, tuple[Diagnostic, ...]] = {}
        self._deployments: Counter[str] = Counter()
        self.vouched: str | None = None
        """The digest of the context in which all workloads with a brief were good, for the next update only."""

    @property
    def context(self) -> Context | None:
        """The context of the last update."""
        return self._context

    @property
    def environments(self) -> frozenset[str]:
        """The environments in which something is deployed."""
        return frozenset(self._deployments)

    @property
    def faults(self) -> list[Diagnostic]:
        """What is wrong with the workloads."""
        return [fault for each in self._faults.values() for fault in each]

    def update(self, workloads: Shards[Workload], context: Context) -> None:
        """Follow the workloads and their context; endpoints are the same objects where both mean the same."""
        last, self._context = self._context, context
        vouched, self.vouched = self.vouched, None
        good = vouched is not None and vouched == context.digest()
        changed, gone = workloads.since(self._workloads)
        if last is not None and last != context:
            changed |= self._concerned(workloads, changed, last, context)
        put: dict[str, Endpoint] = {}
        lost: set[str] = set()
        for slot, before in self._workloads.pick(changed | gone):
            lost.add(path_of(before))
            self._deployments -= Counter(before.environments)
            self._faults.pop(slot, None)
        for slot, workload in workloads.pick(changed):
            endpoint, faults = _build(workload, context, good=good)
            for environment in workload.environments:
                self._deployments[environment] += 1
            if endpoint is not None:
                put[endpoint.path] = endpoint
            if faults:
                self._faults[slot] = tuple(faults)
        self.endpoints = self.endpoints.amend(lost - put.keys(), put)
        self._workloads = workloads

    def _concerned(
        self, workloads: Shards[Workload], changed: frozenset[str], before: Context, now: Context
    ) -> set[str]:
        """Those whose own part of the context differs, and those with mistakes, whose hints may name others."""
        difference = Difference.between(before, now)
        return {
            slot
            for slot, workload in workloads.items()
            if slot not in changed
            and (
                slot in self._faults
                or (difference.may_concern(workload) and before.narrow(workload) != now.narrow(workload))
            )
        }


def _build(workload: Workload, context: Context, *, good: bool) -> tuple[Endpoint | None, list[Diagnostic]]:
    """Build an endpoint, later if it is known to be good."""
    brief = workload.brief if good else None
    if brief is not None:
        return defer_endpoint(workload, brief, context), []
    return build_endpoint(workload, context.narrow(workload))


def build_tenant(
    source: TenantSource, fleet: Fleet, loaded: Loaded, cache: EndpointCache
) -> tuple[Tenant | None, list[Diagnostic]]:
    """Resolve one workspace. With any error among the diagnostics, the tenant is not to be used.

    Where no Workspace is declared, there is no tenant, but its manifests are looked at all the same.
    """
    if not len(source.roster):
        return None, []
    environments = _index_environments(source)
    found: list[Diagnostic] = []
    workspace = source.workspace or _stand_in(next(iter(source.roster)))
    if source.workspace is None:
        found += [unknown_workspace(manifest, workspace.name) for manifest in source.roster]
    policies: dict[str, AnyPolicy] = {policy.name: policy for policy in source.policies}
    for environment in source.environments:
        for at, name in enumerate(environment.spec.policies):
            at_policy = ("spec", "policies", at)
            lost = unfollowed_policy(
                environment, at_policy, name, workspace.name, own=policies, publishers=fleet.publishers
            )
            found += [] if lost is None else [lost]
    trusts = tuple(
        _trust(fleet.authorities[name], workspace)
        for name in workspace.spec.issuers
        if name in fleet.authorities
    )
    context = Context(workspace, trusts, environments, policies, fleet.places, loaded.files, fleet.publishers)
    cache.update(source.workloads, context)
    if source.workspace is not None:
        found += _check_workspace(source.workspace, source, fleet, environments)
        found += _check_names(source, environments, cache.environments)
    tenant = Tenant(
        name=workspace.name,
        default_environment=workspace.spec.default_environment,
        environments=tuple(environments),
        issuers=workspace.spec.issuers,
        endpoints=cache.endpoints,
    )
    return tenant if source.workspace is not None else None, [*found, *cache.faults]


def _trust(authority: Authority, workspace: Workspace) -> Trust:
    spec = authority.issuer.spec
    required = spec.residency_claim if workspace.spec.residency_required else None
    return Trust(authority.name, spec.workspaces_claim, required or ())


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
    found += _check_residency(workspace, fleet)
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


def _check_residency(workspace: Workspace, fleet: Fleet) -> Iterator[Diagnostic]:
    for at, name in enumerate(workspace.spec.issuers if workspace.spec.residency_required else ()):
        authority = fleet.authorities.get(name)
        if authority is not None and authority.issuer.spec.residency_claim is None:
            message = f"a residency is required, and issuer `{name}` names no claim that holds one"
            hint = "set `residencyClaim` of the issuer, or leave it out here"
            yield fault(workspace, "no-residency-claim", ("spec", "issuers", at), message, hint)


def _check_names(
    source: TenantSource, environments: Mapping[str, Environment | None], used: frozenset[str]
) -> Iterator[Diagnostic]:
    # `production` exists without being declared, so what a slip of the pen takes from it would not be missed.
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
