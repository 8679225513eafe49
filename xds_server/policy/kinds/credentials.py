"""Credentials: what a backend wants to see before it answers."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, StringConstraints

from xds_server.policy.kinds.base import Part, part
from xds_server.policy.kinds.names import CREDENTIAL_PREFIX, FileName, HeaderName, Shown


@part
class UpstreamCredentials(Part):
    """A header with a secret, which each Envoy puts into the requests that go to this backend."""

    header: HeaderName = Field(
        default="authorization",
        description="The header; one that the client sends is replaced. The same for all backends of a revision.",
        examples=["authorization", "x-api-key"],
    )
    file: FileName = Field(
        description="The secret: a file of the policy folder with one line. It ends like a key or lies in a "
        "folder called `secrets`.",
        examples=["secrets/v1-key"],
    )
    prefix: Annotated[str, StringConstraints(pattern=CREDENTIAL_PREFIX, max_length=128), Shown("text")] = (
        Field(default="", description="What stands before the secret in the header.", examples=["Bearer "])
    )
