"""Issuer: whose tokens are believed, and where they stand in a request."""

from __future__ import annotations

import json
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field

from xds_server.policy.kinds.base import Manifest, Metadata, Part, manifest, part
from xds_server.policy.kinds.duration import Duration
from xds_server.policy.kinds.names import ClaimPath, FileName, HeaderName, Shown, Word

DEVELOPMENT_JWKS = "fairlead-dev.jwks.json"
"""The attachment that holds the public keys of the local development issuer."""


@part
class InlineJwks(Part):
    """A JSON Web Key Set (RFC 7517) written into the manifest. Public keys only."""

    keys: Annotated[tuple[dict[str, Any], ...], Shown("list of JSON Web Keys")] = Field(
        min_length=1,
        description="The keys, each as RFC 7517 writes it.",
        examples=[[{"kty": "EC", "kid": "2026-01", "crv": "P-256", "x": "…", "y": "…"}]],
    )

    def __hash__(self) -> int:
        return hash(self.text)

    @property
    def text(self) -> str:
        """The key set as JSON, always written the same way."""
        return json.dumps({"keys": self.keys}, sort_keys=True, separators=(",", ":"))


@part
class Jwks(Part):
    """The issuer's public keys, from exactly one place."""

    __pydantic_config__: ClassVar[ConfigDict] = {
        **Part.__pydantic_config__,
        "json_schema_extra": {
            "oneOf": [{"required": [source]} for source in ("inline", "file", "uri", "development")]
        },
    }

    inline: InlineJwks | None = Field(default=None, description="The key set itself.")
    file: FileName | None = Field(
        default=None,
        description="A file of the policy folder that holds the key set as JSON.",
        examples=["keys/jwks.json"],
    )
    uri: Word | None = Field(
        default=None,
        description="Where every Envoy fetches the key set. `https`, or `http` on this machine only.",
        examples=["https://issuer.example.com/.well-known/jwks.json"],
    )
    cache_duration: Duration | None = Field(
        default=None,
        description="How long a fetched key set is used before it is fetched again. Only with `uri`; "
        "5m if silent.",
        examples=["5m"],
    )
    development: Literal[True] | None = Field(
        default=None,
        description="The keys of the local development issuer, which `fairlead` makes at first use and "
        "`fairlead token create` signs with. Not for production.",
        examples=[True],
    )


@part
class IssuerSpec(Part):
    """Which tokens are believed."""

    issuer: Word = Field(
        description="The token's `iss`, compared character by character.",
        examples=["https://issuer.example.com"],
    )
    audiences: tuple[Word, ...] = Field(
        min_length=1,
        description="A token is for this gateway when its `aud` holds one of these.",
        examples=[["fairlead"]],
    )
    jwks: Jwks = Field(description="The issuer's public keys, from exactly one place.")
    headers: tuple[HeaderName, ...] = Field(
        default=("Authorization",),
        min_length=1,
        description="The request headers that may carry the token, each as `Bearer <token>`.",
        examples=[["Authorization", "X-Blaxel-Authorization"]],
    )
    workspaces_claim: ClaimPath = Field(
        default=("workspaces",),
        description="The claim that lists the workspaces the caller belongs to: its name, or the list of "
        "names that leads to it.",
        examples=["workspaces", ["realm", "workspaces"]],
    )
    residency_claim: ClaimPath | None = Field(
        default=None,
        description="The claim that binds the caller's requests to a residency, as the header "
        "`x-fairlead-residency` does and on top of it: a text such as `eu`, `country:fr` or `location:eu-west-3`. A "
        "token without it is bound to nothing.",
        examples=["residency", ["tenant", "residency"]],
    )
    clock_skew: Duration = Field(
        default=60.0,
        description="How far clocks may be apart when `exp` and `nbf` are checked.",
        examples=["60s"],
    )
    forward_token: bool = Field(
        default=False, description="Whether the token is passed on to the model.", examples=[False]
    )
    cache_size: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=1000,
        description="Verified tokens remembered by each worker thread of an Envoy; 0 verifies every time.",
        examples=[1000],
    )


@manifest
class Issuer(Manifest):
    """Whose tokens are believed, and where they stand in a request."""

    kind: ClassVar[str] = "Issuer"

    metadata: Metadata = Field(description="Who this manifest is.")
    spec: IssuerSpec = Field(description="What it says.")
