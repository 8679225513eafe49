"""Restriction: what stays as it last was, on the map of today. It may lose places and never gains one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from xds_server.policy import Agent, Function, Model

from .endpoint import Backend, Trust
from .fleet import Fleet
from .graph import Authority, Graph, Tenant
from .place import Place
from .placement import Allowance, Placement, allow
from .publisher import Publishers, find_policy

_TYPES: Final = {each.segment: each.resource_type for each in (Model, Agent, Function)}


def keep(previous: Graph | None, name: str, fleet: Fleet) -> Tenant | None:
    """A workspace as it last was, on today's map and with today's issuers; ``None`` if it was not there."""
    tenant = previous.tenants.get(name) if previous is not None else None
    if previous is None or tenant is None:
        return tenant
    if fleet.authorities != previous.authorities:
        tenant = distrust(tenant, fleet.authorities)
    same = fleet.places == previous.places and fleet.publishers == previous.publishers
    return tenant if same else restrict(tenant, fleet)


def distrust(tenant: Tenant, authorities: Mapping[str, Authority]) -> Tenant:
    """A kept tenant without the trust in issuers whose tokens no longer say the residency that it requires."""
    put = {}
    for path, endpoint in tenant.endpoints.items():
        trusts = tuple(each for each in endpoint.trusts if _still_says(each, authorities.get(each.issuer)))
        if trusts != endpoint.trusts:
            put[path] = replace(endpoint, trusts=trusts)
    return replace(tenant, endpoints=tenant.endpoints.amend((), put)) if put else tenant


def _still_says(trust: Trust, authority: Authority | None) -> bool:
    if authority is None or not trust.residency_claim:
        return True  # tokens of an issuer that is gone are none
    return authority.issuer.spec.residency_claim == trust.residency_claim


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


def _follow(placement: Placement, publishers: Publishers, segment: str) -> Placement:
    """Policies with what sources say of them today. One that is published no more stays as it last was."""
    return Placement(
        tuple(
            replace(each, allowances=tuple(_follow_one(each.allowances, publishers, segment)))
            for each in placement.attachments
        )
    )


def _follow_one(
    allowances: tuple[Allowance, ...], publishers: Publishers, segment: str
) -> Iterator[Allowance]:
    for each in allowances:
        policy = find_policy(each.policy, {}, publishers)
        yield each if policy is None else allow(each.policy, policy, _TYPES[segment])


def restrict(tenant: Tenant, fleet: Fleet) -> Tenant:
    """A kept tenant on today's map and within what is published today.

    Backends whose place is gone, or is no longer allowed, are out (fail closed).
    """
    moved = {}
    for path, endpoint in tenant.endpoints.items():
        deployments = []
        for deployment in endpoint.deployments:
            placement = _follow(deployment.placement, fleet.publishers, endpoint.segment)
            revisions = []
            for revision in deployment.revisions:
                allowed = []
                for backend in revision.backends:
                    today = _relocate(backend, fleet.places)
                    if today is not None and placement.admits(today.place, today.flavor):
                        allowed.append(today)
                same = tuple(allowed) == revision.backends
                revisions.append(revision if same else replace(revision, backends=tuple(allowed)))
            deployments.append(replace(deployment, revisions=tuple(revisions), placement=placement))
        restricted = replace(endpoint, deployments=tuple(deployments))
        if restricted != endpoint:
            moved[path] = restricted
    return replace(tenant, endpoints=tenant.endpoints.amend((), moved)) if moved else tenant
