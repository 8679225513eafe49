"""Restriction: what stays as it last was, on the map of today. It may lose places and never gains one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from .endpoint import Backend
from .graph import Graph, Tenant
from .place import Place


def keep(previous: Graph | None, name: str, places: Mapping[str, Place]) -> Tenant | None:
    """A workspace as it last was, on today's map; ``None`` if it was not there."""
    tenant = previous.tenants.get(name) if previous is not None else None
    if previous is None or tenant is None or places == previous.places:
        return tenant
    return restrict(tenant, places)


def _relocate(backend: Backend, places: Mapping[str, Place]) -> Backend | None:
    """The backend in its place as that is today; ``None`` if the place, or its hardware there, is gone."""
    place = places.get(backend.place.name)
    flavor = place.flavor(backend.flavor.name) if place is not None and backend.flavor is not None else None
    if place is None or (flavor is None) is not (backend.flavor is None):
        return None
    return (
        backend
        if (place, flavor) == (backend.place, backend.flavor)
        else replace(backend, place=place, flavor=flavor)
    )


def restrict(tenant: Tenant, places: Mapping[str, Place]) -> Tenant:
    """A kept tenant on today's map: backends whose place is gone, or is no longer allowed, are out (fail closed)."""
    moved = {}
    for path, endpoint in tenant.endpoints.items():
        deployments = []
        for deployment in endpoint.deployments:
            revisions = []
            for revision in deployment.revisions:
                allowed = []
                for backend in revision.backends:
                    today = _relocate(backend, places)
                    if today is not None and deployment.placement.admits(today.place, today.flavor):
                        allowed.append(today)
                same = tuple(allowed) == revision.backends
                revisions.append(revision if same else replace(revision, backends=tuple(allowed)))
            deployments.append(replace(deployment, revisions=tuple(revisions)))
        restricted = replace(endpoint, deployments=tuple(deployments))
        if restricted != endpoint:
            moved[path] = restricted
    return replace(tenant, endpoints=tenant.endpoints.amend((), moved)) if moved else tenant
