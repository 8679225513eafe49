"""Residency: to which continent, country or location a caller may bind a request, within what policy allows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from .endpoint import Backend, Deployment, Revision
from .order import Tier
from .place import Place
from .routing import Routing

RESIDENCY_HEADER = "x-fairlead-residency"
HINT_HEADER = "x-fairlead-location-hint"


def list_names(place: Place) -> tuple[str, ...]:
    """What a residency that holds the place is called: ``eu``, ``country:fr``, ``location:eu-west-3``."""
    return place.continent, f"country:{place.country}", f"location:{place.name}"


def list_residencies(deployment: Deployment) -> tuple[str, ...]:
    """The residencies that a request for the deployment may be bound to, sorted; none where callers have no choice.

    Those that every revision in the split, or that a rollout brings into it, can keep within: which revision gets a
    request is not the caller's choice.
    """
    if not any(each.routing.caller_choice for each in deployment.revisions):
        return ()
    moving = (deployment.rollout.old, deployment.rollout.new) if deployment.rollout is not None else ()
    offers = [_offer(each) for each in deployment.revisions if each.weight > 0 or each.name in moving]
    return tuple(sorted(frozenset.intersection(*offers))) if offers else ()


def list_withheld(deployment: Deployment) -> tuple[str, ...]:
    """The residencies that only revisions out of the split could keep within, sorted; none while a rollout moves it."""
    if deployment.rollout is not None or not any(each.routing.caller_choice for each in deployment.revisions):
        return ()
    split, out = (
        frozenset[str]().union(
            *(_offer(each) for each in deployment.revisions if (each.weight > 0) is within)
        )
        for within in (True, False)
    )
    return tuple(sorted(out - split))


def _offer(revision: Revision) -> frozenset[str]:
    used: Iterable[Backend] = (each for each in revision.backends if each.weight > 0)
    return frozenset(name for each in used for name in list_names(each.place))


@dataclass(frozen=True, slots=True)
class Wish:
    """What a request's headers say of the place: the residency it is bound to, the location it would rather have.

    ``fence`` is what its token binds it to, of whatever type.
    """

    residency: str | None = None
    hint: str | None = None
    fence: Any = None

    def narrow(self, tiers: list[Tier], routing: Routing) -> list[Tier]:
        """The places that are left of a revision's, in the order in which they are tried: the hinted one first."""
        if not routing.caller_choice:
            return tiers
        bonds = [each for each in (self.residency, self.fence) if each is not None]
        kept = [tier for tier in tiers if all(bond in list_names(tier.place) for bond in bonds)]
        ranks = {rank: at for at, rank in enumerate(sorted({self._rank(each) for each in kept}))}
        placed = [replace(each, priority=ranks[self._rank(each)]) for each in kept]
        return sorted(placed, key=lambda tier: tier.priority)

    def _rank(self, tier: Tier) -> tuple[bool, int]:
        return tier.standby or tier.place.name != self.hint, tier.priority


NO_WISH = Wish()
