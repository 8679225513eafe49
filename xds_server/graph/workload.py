"""One workload resolved: its deployments, with the places that policy lets each revision use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from xds_server.policy import AnyPolicy, Diagnostic, Manifest, Workload
from xds_server.policy import Deployment as DeploymentSpec
from xds_server.policy import Revision as RevisionSpec

from .backend import build_backend, build_health_check
from .context import Context
from .endpoint import Backend, Deployment, Endpoint, Revision
from .fault import fault
from .handling import BOUNDLESS, build_handling, build_limits
from .placement import UNBOUND, Allowance, Attachment, Placement, allow, environment_point
from .publisher import split_reference
from .reference import unfollowed_policy, unknown_environment
from .rollout import build_plan, divide
from .routing import build_routing, find_forbidden, find_stranded, route
from .rule import ClaimRule
from .scaling import build_scaling
from .traffic import build_traffic, is_shadow

_Path = tuple[str | int, ...]


def build_endpoint(workload: Workload, context: Context) -> tuple[Endpoint | None, list[Diagnostic]]:
    """Resolve a workload. ``None`` when it is switched off; not to be used when a diagnostic is an error."""
    found: list[Diagnostic] = []
    deployments = []
    for at, spec in enumerate(workload.spec.deployments):
        path: _Path = ("spec", "deployments", at)
        found += _check_deployment(workload, spec, path, context)
        placement = build_placement(workload, spec, context)
        # A deployment that is switched off is checked all the same, so that switching it on holds no surprise.
        revisions, faults = _build_revisions(workload, spec, path, placement, context)
        found += faults
        found += find_forbidden(workload, spec.routing, path, revisions, placement)
        if spec.enabled:
            deployments.append(_build_deployment(spec, revisions, placement, context))
    if not workload.spec.enabled:
        return None, found
    rules = tuple(ClaimRule(rule.claim, rule.any_of) for rule in workload.spec.access.claims)
    endpoint = Endpoint(
        workspace=context.workspace.name,
        segment=workload.segment,
        name=workload.name,
        default_environment=context.workspace.spec.default_environment,
        trusts=context.trusts,
        rules=rules,
        deployments=tuple(sorted(deployments, key=lambda each: each.environment)),
        warm=workload.spec.warm,
        origin=f"{workload.origin}",
    )
    return endpoint, found


def _build_deployment(
    spec: DeploymentSpec, revisions: tuple[Revision, ...], placement: Placement, context: Context
) -> Deployment:
    handling, traffic = build_handling(spec), build_traffic(spec)
    scaling = build_scaling(spec.scale_from_zero, context.files)
    if spec.rollout is None:
        return Deployment(spec.environment, revisions, placement, handling, traffic=traffic, scaling=scaling)
    plan = build_plan(spec.rollout)
    shared = divide(revisions, plan, plan.declared_percent)
    return Deployment(spec.environment, shared, placement, handling, plan, traffic, scaling)


def build_placement(workload: Workload, spec: DeploymentSpec, context: Context) -> Placement:
    """The policies that bind a deployment: its environment's, then its own."""
    environment = context.environments.get(spec.environment)
    inherited = environment.spec.policies if environment is not None else ()
    if not inherited and not spec.policies:
        return UNBOUND
    points = ((environment_point(spec.environment), inherited), ("the deployment", spec.policies))
    return Placement(
        tuple(
            Attachment(point, tuple(_allowances(workload, together, context.policies)))
            for point, names in points
            for together in _by_source(names)
        )
    )


def _by_source(references: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The policies of each origin by themselves, the workspace's own first, each once."""
    every = dict.fromkeys(references)
    for source in sorted({split_reference(each)[0] or "" for each in every}):
        yield tuple(each for each in every if (split_reference(each)[0] or "") == source)


def _allowances(
    workload: Workload, names: tuple[str, ...], policies: Mapping[str, AnyPolicy]
) -> Iterator[Allowance]:
    for name in names:
        policy = policies.get(name)
        if policy is not None:
            yield allow(name, policy, workload.resource_type)


def _check_deployment(
    workload: Workload, spec: DeploymentSpec, path: _Path, context: Context
) -> Iterator[Diagnostic]:
    wider, owner = context.wider or context, context.workspace.name
    if spec.environment not in context.environments:
        at_name = (*path, "environment")
        yield unknown_environment(workload, at_name, spec.environment, owner, wider.environments)
    for at, name in enumerate(spec.policies):
        if name not in context.policies:
            at_policy = (*path, "policies", at)
            lost = unfollowed_policy(
                workload, at_policy, name, owner, own=wider.policies, publishers=wider.publishers
            )
            if lost is not None:
                yield lost


def _build_revisions(
    workload: Workload, spec: DeploymentSpec, path: _Path, placement: Placement, context: Context
) -> tuple[tuple[Revision, ...], list[Diagnostic]]:
    found: list[Diagnostic] = []
    revisions = []
    routing, limits = build_routing(spec.routing), build_limits(spec)
    for index, each in enumerate(spec.revisions):
        at_revision = (*path, "revisions", index)
        shadow = is_shadow(spec, each.name)
        revision, faults = _build_revision(workload, each, at_revision, placement, context, shadow=shadow)
        if spec.routing is not None:
            revision = route(revision, routing)
            faults = faults or list(find_stranded(workload, at_revision, revision, routing))
        found += faults
        revisions.append(revision if limits is BOUNDLESS else replace(revision, limits=limits))
    return tuple(revisions), found


def _build_revision(
    workload: Workload,
    spec: RevisionSpec,
    path: _Path,
    placement: Placement,
    context: Context,
    *,
    shadow: bool,
) -> tuple[Revision, list[Diagnostic]]:
    found: list[Diagnostic] = []
    admitted: list[Backend] = []
    refused: list[Backend] = []
    for at, each in enumerate(spec.backends):
        backend, faults = build_backend(workload, each, (*path, "backends", at), context)
        found += faults
        if backend is not None:
            (admitted if placement.admits(backend.place, backend.flavor) else refused).append(backend)
    weight = 1 if spec.weight is None else spec.weight
    usable = any(backend.weight > 0 for backend in admitted)
    registration = None if spec.registration is None else spec.registration.ttl
    if (weight > 0 or shadow) and not usable and not found and registration is None:
        remedy = "leave `shadow` out" if shadow else "set the revision's weight to 0"
        found.append(_unplaced(workload, spec, path, placement, refused, remedy=remedy))
    check = build_health_check(spec.health_check)
    made = Revision(spec.name, weight, tuple(admitted), tuple(refused), check, shadow=shadow)
    return made if registration is None else replace(made, registration=registration), found


def _unplaced(
    workload: Manifest,
    spec: RevisionSpec,
    path: _Path,
    placement: Placement,
    refused: list[Backend],
    *,
    remedy: str,
) -> Diagnostic:
    where = ", ".join(sorted({_describe(backend) for backend in refused}))
    sets = "; ".join(
        f"{attachment.point} allows {aspect} {_describe_union(allowances)}"
        for attachment in placement.attachments
        for aspect in ("location", "flavor")
        if (allowances := attachment.of(aspect))
    )
    message = f"revision `{spec.name}` has no backend in an allowed place: it has {where}, and {sets}"
    hint = f"add a backend in an allowed place, change a policy, or {remedy}"
    return fault(workload, "no-allowed-place", (*path, "backends"), message, hint)


def _describe(backend: Backend) -> str:
    hardware = f" ({backend.flavor.name})" if backend.flavor is not None else " (no flavor)"
    return f"{backend.place.name}{hardware}"


def _describe_union(allowances: tuple[Allowance, ...]) -> str:
    choices = sorted(
        {
            " ".join(part for part in choice if part)
            for allowance in allowances
            for choice in allowance.choices
        }
    )
    named = ", ".join(f"{each.policy} at {each.origin}" for each in allowances)
    return f"{' or '.join(choices)} ({named})"
