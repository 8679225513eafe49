"""Placement: the policy algebra that says which places a deployment may use, and why not the others.

``allowed(d) = (union of the environment's policies or ALL) ∩ (union of the deployment's policies or ALL)``, for each
aspect (``location``, ``flavor``) on its own, all aspects together. A deployment can narrow what its environment
allows and never widen it. Policies of a source are a union of their own at each of the two: a workspace can narrow
what they allow and never widen it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from xds_server.policy import AnyPolicy

from .place import Flavor, Place

ASPECTS = ("location", "flavor")
NO_ASPECT = ""


def environment_point(name: str) -> str:
    """What people call the attachment point that an environment is."""
    return f"environment {name}"


@dataclass(frozen=True, slots=True)
class Allowance:
    """One policy as a set: what it allows of one aspect. ``policy`` is the reference that leads to it.

    ``choices`` are ``(type, name)`` pairs: ``("continent", "eu")`` for locations, ``("gpu", "a100")`` or
    ``("gpu", None)`` (any flavor of the type) for flavors. ``origin`` is ``file:line`` of the policy.
    """

    policy: str
    aspect: str
    choices: frozenset[tuple[str, str | None]]
    origin: str = field(compare=False)

    def admits(self, place: Place, flavor: Flavor | None) -> bool:
        """Whether the policy allows the place (location aspect) or the hardware (flavor aspect)."""
        if self.aspect == "location":
            return not self.choices.isdisjoint(
                (("continent", place.continent), ("country", place.country), ("location", place.name))
            )
        return flavor is not None and not self.choices.isdisjoint(
            ((flavor.type, None), (flavor.type, flavor.name))
        )


def allow(reference: str, policy: AnyPolicy, resource_type: str) -> Allowance:
    """What a policy allows a resource of a type. If it says nothing about that type, it is of no aspect: it binds
    nothing, and is known to be attached, since it may say something later.
    """
    spec = policy.spec
    if resource_type not in spec.resource_types:
        return Allowance(reference, NO_ASPECT, frozenset(), str(policy.origin))
    allowed = spec.locations if spec.type == "location" else spec.flavors
    choices = frozenset((each.type, each.name) for each in allowed)
    return Allowance(reference, spec.type, choices, str(policy.origin))


@dataclass(frozen=True, slots=True)
class Attachment:
    """The policies of one origin, the workspace or a source, attached at one point.

    ``point`` names it for people, as ``environment production``.
    """

    point: str
    allowances: tuple[Allowance, ...]

    def of(self, aspect: str) -> tuple[Allowance, ...]:
        """The policies of one aspect; none of them means that all is allowed."""
        return tuple(allowance for allowance in self.allowances if allowance.aspect == aspect)


@dataclass(frozen=True, slots=True)
class Removal:
    """Why a place is out: at this point, none of these policies of this aspect allows it."""

    point: str
    aspect: str
    policies: tuple[Allowance, ...]

    def __str__(self) -> str:
        named = ", ".join(f"{each.policy} ({each.origin})" for each in self.policies)
        return f"not allowed by the {self.aspect} policies of {self.point}: {named}"


@dataclass(frozen=True, slots=True)
class Placement:
    """All policies that bear on one deployment, outermost point first."""

    attachments: tuple[Attachment, ...]

    def find_removals(self, place: Place, flavor: Flavor | None) -> tuple[Removal, ...]:
        """Every reason why the place may not be used with that hardware; empty means that it may."""
        return tuple(
            Removal(attachment.point, aspect, allowances)
            for attachment in self.attachments
            for aspect in ASPECTS
            if (allowances := attachment.of(aspect))
            and not any(allowance.admits(place, flavor) for allowance in allowances)
        )

    def admits(self, place: Place, flavor: Flavor | None) -> bool:
        """Whether the place may be used with that hardware."""
        return not self.attachments or not self.find_removals(place, flavor)


UNBOUND = Placement(())
"""Of a deployment that no policy bears on."""
