"""Strays: Environments of workspaces that nobody declared, and the workspaces that each may have been meant for.

A slip in `metadata.workspace` takes from a workspace the very Environment that keeps it within bounds. Production and
development exist without being declared, so nothing else would be amiss there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from xds_server.policy import Diagnostic, Draft, Environment, closest

from .graph import Graph
from .placement import environment_point
from .reference import Declared, unknown_workspace
from .tenant import TenantSource

Sources = Mapping[str, TenantSource]


def find_strays(
    sources: Sources, undeclared: Collection[str], drafts: Sequence[Draft], previous: Graph | None
) -> dict[Diagnostic, frozenset[str]]:
    """What is said of each stray, and the workspaces that may miss it: they must stay as they last were. `undeclared`
    are the workspaces of the sources that nobody declared.

    Such a workspace runs something in an environment of that name, does not declare it, and either was bound by it
    at its last good state or has nearly the stray's workspace for a name.
    """
    found: dict[Diagnostic, frozenset[str]] = {}
    for subject, workspace, names in _list_strays(sources, undeclared, drafts, previous):
        losers = {loser for name in names for loser in _find_losers(name, workspace, sources, previous)}
        if losers:
            found[unknown_workspace(subject, workspace)] = frozenset(losers)
    return found


def _list_strays(
    sources: Sources, undeclared: Collection[str], drafts: Sequence[Draft], previous: Graph | None
) -> Iterator[tuple[Environment | Draft, str, Iterable[str]]]:
    broken = Declared((), drafts)

    def homeless(name: str) -> bool:
        # A workspace that was there, or is declared and only broken, has these for its own.
        declared = name in sources and name not in undeclared
        there = previous is not None and name in previous.tenants
        return not (declared or there or broken.holds(("Workspace", None, name)))

    for name in filter(homeless, undeclared):
        yield from ((each, name, (each.name,)) for each in sources[name].environments)
    for draft in drafts:
        owner = draft.workspace if draft.kind == Environment.kind else None
        if owner is not None and homeless(owner):
            yield draft, owner, draft.names or ()


def _find_losers(name: str, workspace: str, sources: Sources, previous: Graph | None) -> Iterator[str]:
    missing = [other for other, source in sources.items() if _misses(source, name)]
    meant = closest(workspace, missing)
    yield from (other for other in missing if other == meant or _was_bound(other, name, previous))


def _misses(source: TenantSource, environment: str) -> bool:
    return (
        source.workspace is not None
        and all(each.name != environment for each in source.environments)
        and any(
            to.environment == environment
            for each in source.workloads.values()
            for to in each.spec.deployments
        )
    )


def _was_bound(workspace: str, environment: str, previous: Graph | None) -> bool:
    tenant = previous.tenants.get(workspace) if previous is not None else None
    return tenant is not None and any(
        attachment.point == environment_point(environment)
        for endpoint in tenant.endpoints.values()
        for deployment in endpoint.deployments
        for attachment in deployment.placement.attachments
    )
