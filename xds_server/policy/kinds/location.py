"""Location: a place where models run and Envoys stand."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from xds_server.policy.kinds.base import Manifest, Metadata, Part, manifest, part
from xds_server.policy.kinds.names import Name
from xds_server.policy.kinds.place import Continent, Country

FlavorType = Literal["cpu", "gpu"]


@part
class Flavor(Part):
    """A kind of hardware that a location offers."""

    name: Name = Field(description="The flavor's name, which backends ask for.", examples=["a100"])
    type: FlavorType = Field(description="Whether it computes on CPUs or GPUs.", examples=["gpu"])


STANDARD_FLAVORS = (Flavor(name="cpu", type="cpu"), Flavor(name="gpu", type="gpu"))


@part
class LocationSpec(Part):
    """Where the location is, and what it offers."""

    region: Name | None = Field(
        default=None,
        description="What the Envoys of this location say in `node.locality.region`. Without it, the "
        "location's name.",
        examples=["eu-west-3"],
    )
    country: Country = Field(
        description="The country that the location lies in, as policies name it (ISO 3166-1 alpha-2).",
        examples=["fr"],
    )
    continent: Continent = Field(
        description="The continent that the location lies on, as policies name it.", examples=["eu"]
    )
    latitude: Annotated[float, Field(ge=-90, le=90)] = Field(
        description="Degrees north; what lies nearest to the client's gateway is tried first.",
        examples=[48.86],
    )
    longitude: Annotated[float, Field(ge=-180, le=180)] = Field(description="Degrees east.", examples=[2.35])
    flavors: tuple[Flavor, ...] = Field(
        default=STANDARD_FLAVORS,
        min_length=1,
        description="The hardware offered here.",
        examples=[[{"name": "cpu", "type": "cpu"}, {"name": "a100", "type": "gpu"}]],
    )


@manifest
class Location(Manifest):
    """A place where models run and Envoys stand.

    The regions of the large clouds are built in under their own names (`eu-west-3`, `europe-west9`,
    `francecentral`, ...), each with the flavors `cpu` and `gpu`. A Location declared under such a name
    replaces the built-in one.
    """

    kind: ClassVar[str] = "Location"

    metadata: Metadata = Field(description="Who this manifest is.")
    spec: LocationSpec = Field(description="What it says.")

    @property
    def region(self) -> str:
        """The region by which this location's Envoys name themselves."""
        return self.spec.region or self.metadata.name
