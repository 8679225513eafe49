"""Drafts looked at: what is wrong with the references of documents that make no manifest."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeGuard

from xds_server.policy import BUILT_IN_ENVIRONMENTS, FLEET_KINDS, Draft
from xds_server.policy.draft import Pattern
from xds_server.policy.kinds.names import NAME, POLICY_NAME

from .fleet import Fleet
from .reference import (
    Dangling,
    Path,
    unfollowed_policy,
    unknown_environment,
    unknown_flavor,
    unknown_issuer,
    unknown_location,
    unknown_workspace,
)
from .tenant import TenantSource

_EACH = None
_NAME = re.compile(NAME)
_POLICY_NAME = re.compile(POLICY_NAME)
_DEPLOYMENT = ("spec", "deployments", _EACH)
_BACKEND = (*_DEPLOYMENT, "revisions", _EACH, "backends", _EACH)


def check_draft(draft: Draft, sources: Mapping[str, TenantSource], fleet: Fleet) -> Iterator[Dangling]:
    """The references of a draft that lead nowhere. What has the wrong type is passed over: `load` has said so."""
    if draft.kind is None or draft.kind in FLEET_KINDS:
        return
    if draft.kind == "Workspace":
        yield from _check_workspace(draft, sources, fleet)
        return
    owner = draft.workspace
    if owner is not None:
        source = sources.get(owner)
        if source is None or source.workspace is None:
            yield unknown_workspace(draft, owner)
        yield from _check_within(draft, owner, source, fleet)
    for path, backend in draft.find(_BACKEND):
        if isinstance(backend, Mapping):
            yield from _check_backend(draft, path, backend, fleet)


def _check_workspace(draft: Draft, sources: Mapping[str, TenantSource], fleet: Fleet) -> Iterator[Dangling]:
    for path, name in _find_names(draft, ("spec", "issuers", _EACH)):
        if name not in fleet.authorities:
            yield unknown_issuer(draft, path, name, fleet.authorities)
    for own in draft.names or ():
        known = _environments(sources.get(own))
        for path, name in _find_names(draft, ("spec", "defaultEnvironment")):
            if name not in known:
                yield unknown_environment(draft, path, name, own, known)


def _check_within(draft: Draft, owner: str, source: TenantSource | None, fleet: Fleet) -> Iterator[Dangling]:
    policies = {policy.name: policy for policy in source.policies} if source is not None else {}
    attached = ("spec",) if draft.kind == "Environment" else _DEPLOYMENT
    for path, name in draft.find((*attached, "policies", _EACH)):
        if isinstance(name, str) and _POLICY_NAME.fullmatch(name):
            lost = unfollowed_policy(draft, path, name, owner, own=policies, publishers=fleet.publishers)
            if lost is not None:
                yield lost
    known = _environments(source)
    for path, name in _find_names(draft, (*_DEPLOYMENT, "environment")):
        if name not in known:
            yield unknown_environment(draft, path, name, owner, known)


def _check_backend(draft: Draft, path: Path, backend: Mapping[str, Any], fleet: Fleet) -> Iterator[Dangling]:
    location, flavor = backend.get("location"), backend.get("flavor")
    if not _is_name(location):
        return
    place = fleet.places.get(location)
    if place is None:
        yield unknown_location(draft, (*path, "location"), location, fleet.places)
    elif _is_name(flavor) and place.flavor(flavor) is None:
        yield unknown_flavor(draft, (*path, "flavor"), flavor, place)


def _environments(source: TenantSource | None) -> set[str]:
    declared = source.environments if source is not None else ()
    return {*BUILT_IN_ENVIRONMENTS, *(each.name for each in declared)}


def _find_names(draft: Draft, pattern: Pattern) -> Iterator[tuple[Path, str]]:
    return ((path, value) for path, value in draft.find(pattern) if _is_name(value))


def _is_name(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None
