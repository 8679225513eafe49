"""What every manifest is made of: parts, metadata, and the manifest itself with its origin."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field, GetCoreSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.dataclasses import dataclass
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, SchemaSerializer, SchemaValidator

from xds_server.policy.diagnostic import Position
from xds_server.policy.kinds.names import LabelKey, LabelValue, Name, WorkloadName
from xds_server.policy.origin import Origin
from xds_server.policy.reading.fault import Path

API_VERSION = "fairlead/v1"


_P = TypeVar("_P")


class Part:
    """A piece of a manifest: immutable, no unknown keys, no silent conversion of types."""

    __slots__ = ()

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(
        extra="forbid",
        strict=True,
        alias_generator=to_camel,
        serialize_by_alias=True,
        allow_inf_nan=False,
    )
    __pydantic_fields__: ClassVar[dict[str, FieldInfo]]
    __pydantic_serializer__: ClassVar[SchemaSerializer]
    __pydantic_validator__: ClassVar[SchemaValidator]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Have values make the part although their types are strict: to pydantic, only parts would."""
        schema = handler(source)
        inner: dict[str, Any] = handler.resolve_ref_schema(schema)  # type: ignore[assignment]
        inner["strict"] = False
        return schema

    @classmethod
    def read(cls, values: Any) -> Self:
        """The part that the values of a document make. Raises pydantic's ValidationError."""
        made: Self = cls.__pydantic_validator__.validate_python(values)
        return made

    @classmethod
    def fields(cls) -> dict[str, FieldInfo]:
        """What the part may hold, by attribute."""
        return cls.__pydantic_fields__

    def values(self) -> dict[str, Any]:
        """What the part says, as a document that says it in full."""
        written: dict[str, Any] = self.__pydantic_serializer__.to_python(self, by_alias=True)
        return written


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def part(made: type[_P]) -> type[_P]:
    """Make a class a part with its annotations as fields.

    A policy set holds parts by the hundred thousand. With slots one takes a fifth of what a `BaseModel` does.
    """
    return dataclass(frozen=True, slots=True, kw_only=True)(made)  # type: ignore[return-value]


@dataclass_transform(eq_default=False, frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def manifest(made: type[_P]) -> type[_P]:
    """Make a class a manifest; all of these are compared in one way."""
    return dataclass(frozen=True, slots=True, kw_only=True, eq=False)(made)  # type: ignore[return-value]


_NO_LABELS: dict[str, str] = {}


@part
class Metadata(Part):
    """Who the manifest is."""

    name: Name = Field(description="The name, unique among manifests of its kind.", examples=["edge"])
    labels: dict[LabelKey, LabelValue] = Field(
        default_factory=lambda: _NO_LABELS,
        description="Words of your own for finding and grouping manifests; Fairlead gives them no meaning.",
        examples=[{"team": "platform"}],
    )


@part
class WorkspaceMetadata(Metadata):
    """Who the manifest is, and which workspace it belongs to."""

    workspace: Name = Field(description="The workspace that this manifest belongs to.", examples=["acme"])


@part
class WorkloadMetadata(WorkspaceMetadata):
    """Who the workload is. Its name stands in the URL, and may also hold `.` and `_`."""

    name: WorkloadName = Field(
        description="The name, unique among manifests of its kind in the workspace. It is the last part of "
        "the endpoint's path.",
        examples=["llama-3.1-8b"],
    )


class Reading(Protocol):
    """What is known of a manifest that nobody has read yet."""

    def read(self, manifest: Manifest) -> None:
        """Set the manifest's `spec`."""


class Manifest(Part):
    """One document of a policy set. Equal manifests say the same, wherever they stand."""

    __slots__ = ("_brief", "_origin")

    kind: ClassVar[str]
    metadata: Metadata
    spec: Part
    _origin: Origin
    _brief: Reading

    if not TYPE_CHECKING:  # to a type checker, all attributes are there

        def __getattr__(self, name: str) -> Any:
            """Read what the manifest says, if nobody has wanted to know that so far (`unread`)."""
            if name != "spec" or self.brief is None:
                raise AttributeError(f"{type(self).__name__} has no {name}")
            self._brief.read(self)
            return self.spec

    @property
    def brief(self) -> Any:
        """What was known of the manifest before it was read, for workloads a `Brief`; None if nothing was."""
        try:
            return object.__getattribute__(self, "_brief")
        except AttributeError:
            return None

    @property
    def origin(self) -> Origin:
        """Where the manifest was read: file, line, and the position of every value in it."""
        return getattr(self, "_origin", Origin.NOWHERE)

    @property
    def name(self) -> str:
        """Shorthand for `metadata.name`."""
        return self.metadata.name

    @property
    def workspace(self) -> str | None:
        """Shorthand for `metadata.workspace`; None for the fleet's kinds."""
        return getattr(self.metadata, "workspace", None)

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
        return self.origin.locate(path)

    def stand_at(self, origin: Origin) -> None:
        """Say where the manifest was read; for whoever reads it."""
        object.__setattr__(self, "_origin", origin)

    def at(self, origin: Origin) -> Manifest:
        """The same manifest, read elsewhere."""
        twin = copy(self)
        twin.stand_at(origin)
        return twin

    def __eq__(self, other: Any) -> bool:
        return type(self) is type(other) and self.metadata == other.metadata and self.spec == other.spec

    def __hash__(self) -> int:
        return hash(self.key)


def title(kind: str, workspace: str | None, name: str) -> str:
    """The words by which diagnostics call a manifest."""
    return f"{kind} {workspace}/{name}" if workspace is not None else f"{kind} {name}"
