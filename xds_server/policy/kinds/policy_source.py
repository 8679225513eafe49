"""PolicySource: who publishes policies for many sites, and PublishedPolicy: one of those."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from xds_server.policy.kinds.base import Manifest, Metadata, Part, manifest, part
from xds_server.policy.kinds.duration import Duration
from xds_server.policy.kinds.names import FileName, Word
from xds_server.policy.kinds.policy import FlavorPolicy, LocationPolicy, Policy


@part
class PolicySourceSpec(Part):
    """Where the policies are published, and how they are fetched."""

    url: Word = Field(
        description="The document that holds the policies. `https`, or `http` on this machine only; redirects are "
        "not followed.",
        examples=["https://governance.example.com/policies.yaml"],
    )
    every: Duration = Field(
        default=60.0,
        description="How often the control plane asks whether something else is published; at least `1s`.",
        examples=["60s"],
    )
    token_file: FileName | None = Field(
        default=None,
        description="A file of the policy folder that holds a bearer token to show to the publisher.",
        examples=["secrets/governance"],
    )
    ca: FileName | None = Field(
        default=None,
        description="The CA certificates to trust, in PEM, from a file of the policy folder. Without it, the public "
        "ones.",
        examples=["certs/governance-ca.pem"],
    )


@manifest
class PolicySource(Manifest):
    """Who publishes policies for many sites. An attachment refers to one as `source/policy`.

    What one source publishes is a set of its own at each attachment point: policies of the workspace, or of another
    source, can narrow it, never widen it.
    """

    kind: ClassVar[str] = "PolicySource"

    metadata: Metadata = Field(description="Who this manifest is.")
    spec: PolicySourceSpec = Field(description="What it says.")


@manifest
class PublishedPolicy(Manifest):
    """A policy in the document of a source: like a workspace's own, and of no workspace."""

    kind: ClassVar[str] = Policy.kind

    metadata: Metadata = Field(description="Who this manifest is.")
    spec: Annotated[LocationPolicy | FlavorPolicy, Field(discriminator="type")] = Field(
        description="What it says; `type` decides which keys it has."
    )


AnyPolicy = Policy | PublishedPolicy
