"""Workspace and Environment: a tenant, and the stages its models are deployed to."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from xds_server.policy.kinds.base import Manifest, Metadata, Part, WorkspaceMetadata, manifest, part
from xds_server.policy.kinds.names import DisplayName, Name, PolicyName

BUILT_IN_ENVIRONMENTS = ("production", "development")


@part
class WorkspaceSpec(Part):
    """Who may call the workspace's models, and where a call goes that does not say."""

    display_name: DisplayName | None = Field(
        default=None, description="The name shown to people.", examples=["Acme Inc."]
    )
    default_environment: Name = Field(
        default="production",
        description="The environment of a request that names none.",
        examples=["production"],
    )
    issuers: tuple[Name, ...] = Field(
        description="The issuers whose tokens open this workspace. `[]` lets nobody in.",
        examples=[["fairlead-dev"]],
    )
    residency_required: bool = Field(
        default=False,
        description="Whether a token must bind its caller to a residency, in the claim that its issuer names "
        "(`residencyClaim`). Without it, one that does not may go wherever policy allows.",
        examples=[True],
    )


@manifest
class Workspace(Manifest):
    """A tenant: its models, agents and functions are reached under its name."""

    kind: ClassVar[str] = "Workspace"

    metadata: Metadata = Field(description="Who this manifest is.")
    spec: WorkspaceSpec = Field(description="What it says.")


@part
class EnvironmentSpec(Part):
    """What holds for everything deployed to the environment."""

    display_name: DisplayName | None = Field(
        default=None, description="The name shown to people.", examples=["Production"]
    )
    policies: tuple[PolicyName, ...] = Field(
        default=(),
        description="Policies that bind every deployment in this environment: of this workspace, or `source/policy` of "
        "a PolicySource. A deployment's own policies can narrow them, never widen them.",
        examples=[["eu-only"], ["governance/europe"]],
    )


@manifest
class Environment(Manifest):
    """A stage of a workspace, and the policies attached to it.

    `production` and `development` exist in every workspace without being declared.
    """

    kind: ClassVar[str] = "Environment"

    metadata: WorkspaceMetadata = Field(description="Who this manifest is.")
    spec: EnvironmentSpec = Field(default_factory=EnvironmentSpec, description="What it says.")
