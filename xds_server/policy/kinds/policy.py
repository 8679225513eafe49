"""Policy: what is allowed, for one aspect."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from xds_server.policy.kinds.base import Manifest, Part, WorkspaceMetadata, manifest, part
from xds_server.policy.kinds.location import FlavorType
from xds_server.policy.kinds.names import Name

ResourceType = Literal["model", "agent", "function"]

RESOURCE_TYPES: tuple[ResourceType, ...] = ("model", "agent", "function")


@part
class AllowedPlace(Part):
    """A continent, a country or a single location."""

    type: Literal["continent", "country", "location"] = Field(
        description="What `name` names.", examples=["continent"]
    )
    name: Name = Field(
        description="A continent code (`eu`), a country code (`fr`) or a Location's name (`eu-west-3`).",
        examples=["eu"],
    )


@part
class AllowedFlavor(Part):
    """A type of hardware, or one flavor of it."""

    type: FlavorType = Field(description="Hardware that computes on CPUs or GPUs.", examples=["gpu"])
    name: Name | None = Field(
        default=None, description="One flavor of that type. Without it, all of them.", examples=["a100"]
    )


@part
class _Scope(Part):
    resource_types: tuple[ResourceType, ...] = Field(
        default=RESOURCE_TYPES,
        min_length=1,
        description="The kinds of resource that the policy binds; it says nothing about the others.",
        examples=[["model"]],
    )


@part
class LocationPolicy(_Scope):
    """Where backends may be. Several entries add up."""

    type: Literal["location"] = Field(description="The aspect: where backends may be.", examples=["location"])
    locations: tuple[AllowedPlace, ...] = Field(
        min_length=1,
        description="The places that are allowed. Several add up.",
        examples=[[{"type": "continent", "name": "eu"}]],
    )


@part
class FlavorPolicy(_Scope):
    """What hardware backends may run on. Several entries add up."""

    type: Literal["flavor"] = Field(
        description="The aspect: what hardware backends may run on.", examples=["flavor"]
    )
    flavors: tuple[AllowedFlavor, ...] = Field(
        min_length=1,
        description="The hardware that is allowed. Several add up.",
        examples=[[{"type": "gpu", "name": "a100"}]],
    )


@manifest
class Policy(Manifest):
    """What is allowed, for one aspect. It binds where an Environment or a deployment names it.

    Policies of one type at one place add up (union); those of the environment and of the deployment must
    both allow (intersection). Without a policy of a type, everything of that type is allowed.
    """

    kind: ClassVar[str] = "Policy"

    metadata: WorkspaceMetadata = Field(description="Who this manifest is.")
    spec: Annotated[LocationPolicy | FlavorPolicy, Field(discriminator="type")] = Field(
        description="What it says; `type` decides which keys it has."
    )
