"""Gateway: a fleet of Envoys and what they listen on."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from xds_server.policy.kinds.address import ListenAddress
from xds_server.policy.kinds.base import Manifest, Metadata, Part, manifest, part
from xds_server.policy.kinds.duration import Duration
from xds_server.policy.kinds.member import Nodes, Proxyless, Runtime
from xds_server.policy.kinds.names import FileName, HeaderName, Hostname, Name, Port, Word


@part
class ListenerTls(Part):
    """The listener's certificate, from files of the policy folder."""

    certificate: FileName = Field(
        description="The certificate chain, in PEM, the listener's own first.", examples=["certs/run.crt"]
    )
    key: FileName = Field(description="The certificate's private key, in PEM.", examples=["certs/run.key"])


@part
class Listener(Part):
    """One address and port on which every Envoy of the gateway listens."""

    name: Name = Field(description="The listener's name, unique in the gateway.", examples=["public"])
    address: ListenAddress = Field(
        default="0.0.0.0",  # noqa: S104  (a gateway is there to be reached)
        description="The IP address to listen on.",
        examples=["0.0.0.0"],  # noqa: S104
    )
    port: Port = Field(description="The TCP port to listen on.", examples=[10000])
    hostnames: tuple[Hostname, ...] = Field(
        default=(),
        description="The host names served, exact or `*.suffix`. Without any, every host name is served.",
        examples=[["run.example.com", "*.run.example.com"]],
    )
    tls: ListenerTls | None = Field(
        default=None, description="The certificate to serve HTTPS with. Without it, plain HTTP is served."
    )


@part
class Paths(Part):
    """How the endpoint's URL is written."""

    style: Literal["path"] = Field(
        default="path",
        description="`path`: `/{workspace}/{models|agents|functions}/{name}/{sub/path}`.",
        examples=["path"],
    )
    encoded_slashes: Literal["reject", "keep"] = Field(
        default="reject",
        description="What becomes of `%2F` in a path: `reject` answers 400; `keep` passes it on, for models "
        "whose own paths carry it.",
        examples=["reject"],
    )


@part
class Limits(Part):
    """What one Envoy takes on at a time."""

    connections: Annotated[int, Field(ge=1, le=2**31 - 1)] = Field(
        default=50_000,
        description="Client connections open at once on one listener of one Envoy; further ones are closed.",
        examples=[50_000],
    )
    request_headers_kib: Annotated[int, Field(ge=1, le=8192)] = Field(
        default=60,
        alias="requestHeadersKiB",
        description="The size of a request's headers, in KiB.",
        examples=[60],
    )
    concurrent_streams: Annotated[int, Field(ge=1, le=2**31 - 1)] = Field(
        default=100, description="Requests at once on one HTTP/2 connection.", examples=[100]
    )


@part
class Timeouts(Part):
    """How long an Envoy waits."""

    headers: Duration = Field(
        default=10.0, description="For a request's headers to arrive in full.", examples=["10s"]
    )
    idle: Duration = Field(
        default=100.0, description="For the next byte of an answer from the model.", examples=["100s"]
    )
    total: Duration = Field(default=900.0, description="For the whole of a request.", examples=["15m"])
    drain: Duration = Field(
        default=5.0, description="For open requests to end when a listener goes away.", examples=["5s"]
    )
    cold_start: Duration = Field(
        default=2.0,
        description="For a model's configuration when its first request comes, where it is fetched on demand. "
        "Then the request is refused with 503.",
        examples=["2s"],
    )


@part
class GatewaySpec(Part):
    """What the gateway's Envoys listen on, and within which bounds; or what its clients without Envoy may call."""

    listeners: tuple[Listener, ...] = Field(
        default=(),
        min_length=1,
        description="What every Envoy of the gateway listens on. Required unless it is `proxyless`.",
        examples=[[{"name": "public", "port": 10000}]],
    )
    proxyless: Proxyless | None = Field(
        default=None,
        description="Instead of listeners: the gateway's clients are services that use gRPC's own xDS client.",
    )
    nodes: Nodes | None = Field(
        default=None,
        description="Which nodes belong to the gateway. Without it, those whose `node.cluster` is its name. "
        "Where a node fits several gateways, the most specific says so: an exact id before the longest "
        "prefix, then more metadata, then a cluster; then the first by name.",
    )
    identities: tuple[Word, ...] = Field(
        default=(),
        min_length=1,
        description="The names (SANs) of which a client's certificate must hold one for the client to be a "
        "node of the gateway. Without any, it must hold the gateway's name as a DNS name, or a URI that ends in "
        "`/gateway/<name>`. Only where the control plane asks for certificates (`--xds-client-ca`).",
        examples=[["spiffe://example.com/edge"]],
    )
    runtime: Runtime = Field(
        default_factory=dict,
        description="Values of Envoy's runtime, such as feature flags. They reach running Envoys at once.",
        examples=[{"envoy.reloadable_features.no_extension_lookup_by_name": False}],
    )
    paths: Paths = Field(default_factory=Paths, description="How the endpoint's URL is written.")
    workspace_headers: tuple[HeaderName, ...] = Field(
        default=("x-fairlead-workspace",),
        description="Request headers in which a client may repeat the workspace. One that contradicts the "
        "path is refused with 400.",
        examples=[["x-fairlead-workspace"]],
    )
    delivery: Literal["auto", "eager", "on-demand"] = Field(
        default="auto",
        description="When an Envoy gets a model's configuration. `eager`: at once, for every model. `on-demand`: "
        "with the first request for the model, or at once if the model is `warm`. `auto`: on demand above 1,000 "
        "models, agents and functions. On demand needs Envoy 1.40 and the incremental variant over ADS, as "
        "bootstraps made by Fairlead have it; other clients are served eagerly.",
        examples=["on-demand"],
    )
    limits: Limits = Field(default_factory=Limits, description="What one Envoy takes on at a time.")
    timeouts: Timeouts = Field(default_factory=Timeouts, description="How long an Envoy waits.")


@manifest
class Gateway(Manifest):
    """A fleet of Envoys: what they listen on, and within which bounds.

    An Envoy belongs to the gateway that its bootstrap names in `node.cluster`, unless `nodes` says otherwise,
    and stands in the location whose region is in `node.locality.region`.
    """

    kind: ClassVar[str] = "Gateway"

    metadata: Metadata = Field(description="Who this manifest is.")
    spec: GatewaySpec = Field(description="What it says.")
