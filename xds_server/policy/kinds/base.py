"""What every manifest is made of: parts, metadata, and the manifest itself with its origin."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from pydantic.alias_generators import to_camel

from xds_server.policy.diagnostic import Position
from xds_server.policy.kinds.names import LabelKey, LabelValue, Name, WorkloadName
from xds_server.policy.origin import Origin
from xds_server.policy.reading.fault import Path

API_VERSION = "fairlead/v1"


class Part(BaseModel):
    """A piece of a manifest: immutable, hashable, no unknown keys, no silent conversion of types."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        serialize_by_alias=True,
        allow_inf_nan=False,
    )


class Metadata(Part):
    """Who the manifest is."""

    name: Name = Field(description="The name, unique among manifests of its kind.", examples=["edge"])
    labels: dict[LabelKey, LabelValue] = Field(
        default_factory=dict,
        description="Words of your own for finding and grouping manifests; Fairlead gives them no meaning.",
        examples=[{"team": "platform"}],
    )

    def __hash__(self) -> int:
        return hash((type(self), self.name))


class WorkspaceMetadata(Metadata):
    """Who the manifest is, and which workspace it belongs to."""

    workspace: Name = Field(description="The workspace that this manifest belongs to.", examples=["acme"])


class WorkloadMetadata(WorkspaceMetadata):
    """Who the workload is. Its name stands in the URL, and may also hold `.` and `_`."""

    name: WorkloadName = Field(
        description="The name, unique among manifests of its kind in the workspace. It is the last part of "
        "the endpoint's path.",
        examples=["llama-3.1-8b"],
    )


class Manifest(Part):
    """One document of a policy set. Equal manifests say the same, wherever they stand."""

    kind: ClassVar[str]
    _origin: Origin = PrivateAttr(default_factory=lambda: Origin.NOWHERE)

    @property
    def origin(self) -> Origin:
        """Where the manifest was read: file, line, and the position of every value in it."""
        return self._origin

    @property
    def name(self) -> str:
        """Shorthand for `metadata.name`."""
        name: str = self.__dict__["metadata"].name
        return name

    @property
    def workspace(self) -> str | None:
        """Shorthand for `metadata.workspace`; None for the fleet's kinds."""
        return getattr(self.__dict__["metadata"], "workspace", None)

    @property
    def key(self) -> tuple[str, str | None, str]:
        """Kind, workspace and name: the manifest's identity."""
        return self.kind, self.workspace, self.name

    @property
    def title(self) -> str:
        """The manifest as its author knows it: `Model acme/llama`, `Gateway edge`."""
        return title(*self.key)

    @property
    def concerned(self) -> frozenset[str] | None:
        """Whom a mistake in this manifest concerns: its workspace, or None for the fleet."""
        name = self.name if self.kind == "Workspace" else self.workspace
        return None if name is None else frozenset({name})

    def locate(self, path: Path) -> Position:
        """The position of the value at a path such as `("spec", "issuers", 0)`."""
        return self._origin.locate(path)

    def stand_at(self, origin: Origin) -> None:
        """Say where the manifest was read; for whoever reads it."""
        self._origin = origin

    def at(self, origin: Origin) -> Manifest:
        """The same manifest, read elsewhere."""
        copy = self.model_copy()
        copy._origin = origin
        return copy

    def __eq__(self, other: Any) -> bool:
        return type(self) is type(other) and self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(self.key)


def title(kind: str, workspace: str | None, name: str) -> str:
    """The words by which diagnostics call a manifest."""
    return f"{kind} {workspace}/{name}" if workspace is not None else f"{kind} {name}"
