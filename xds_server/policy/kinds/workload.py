"""Model, Agent and Function: what a run URL reaches. The three have one shape."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from xds_server.policy.kinds.address import BackendAddress
from xds_server.policy.kinds.base import Manifest, Part, WorkloadMetadata, manifest, part
from xds_server.policy.kinds.claim import ClaimRule, Testers
from xds_server.policy.kinds.credentials import UpstreamCredentials
from xds_server.policy.kinds.health_check import BackendHealthCheck, HealthCheck
from xds_server.policy.kinds.names import (
    DisplayName,
    FileName,
    Name,
    PolicyName,
    ServerName,
    UrlPath,
    Weight,
    WorkloadName,
)
from xds_server.policy.kinds.policy import ResourceType
from xds_server.policy.kinds.registration import Registration
from xds_server.policy.kinds.rollout import Rollout
from xds_server.policy.kinds.routing import Routing
from xds_server.policy.kinds.scaling import ScaleFromZero
from xds_server.policy.kinds.traffic import Shadow, Sticky
from xds_server.policy.kinds.upstream import Retries, UpstreamLimits, UpstreamTimeouts


@part
class BackendTls(Part):
    """How the backend's certificate is checked, and which one it is shown. Only with an `https` address."""

    sni: ServerName | None = Field(
        default=None,
        description="The name to ask for and to find in the certificate. Without it, the address's host.",
        examples=["models.example.com"],
    )
    ca: FileName | None = Field(
        default=None,
        description="The CA certificates to trust, in PEM, from a file of the policy folder. Without it, "
        "the system's.",
        examples=["certs/ca.pem"],
    )
    certificate: FileName | None = Field(
        default=None,
        description="The certificate that Envoys show to the backend, with its chain, in PEM. Only with `key`.",
        examples=["certs/client.pem"],
    )
    key: FileName | None = Field(
        default=None,
        description="The certificate's private key, in PEM, without a password.",
        examples=["certs/client.key"],
    )


_CHECKED = BackendHealthCheck()


@part
class Backend(Part):
    """A server that runs the revision, in one location."""

    location: Name = Field(
        description="The Location that it runs in: built in, or declared.", examples=["eu-west-3"]
    )
    flavor: Name | None = Field(
        default=None,
        description="The hardware it runs on, one of those that the location offers. Where a flavor policy "
        "binds, it must be said.",
        examples=["gpu"],
    )
    address: BackendAddress = Field(
        description="Where it listens: `host:port`, or a URL without path. `https` is encrypted; without a "
        "scheme it is plain `http`.",
        examples=["10.0.0.1:8000", "https://models.example.com"],
    )
    weight: Weight = Field(
        default=1,
        description="Its share among the revision's backends in the same location; 0 takes it out.",
        examples=[1],
    )
    standby: bool = Field(
        default=False,
        description="Whether it only serves when no other backend of the revision can.",
        examples=[False],
    )
    tls: BackendTls | None = Field(
        default=None, description="How its certificate is checked. Only with an `https` address."
    )
    credentials: UpstreamCredentials | None = Field(
        default=None, description="What it is shown of who asks. Without it, nothing."
    )
    path_prefix: UrlPath | None = Field(
        default=None, description="What to put in front of the path that it is asked for.", examples=["/v2"]
    )
    health_check: BackendHealthCheck = Field(
        default_factory=lambda: _CHECKED, description="What differs for this backend."
    )


@part
class Revision(Part):
    """A version of the workload, in the backends that run it."""

    name: WorkloadName = Field(description="The name, unique in the deployment.", examples=["v1"])
    weight: Weight | None = Field(
        default=None,
        description="Its share of the deployment's requests, relative to the other revisions'; 0 takes it "
        "out. May be left out when there is one revision only.",
        examples=[90],
    )
    health_check: HealthCheck | None = Field(
        default=None,
        description="How its backends are checked. Without it, they are not, and count as healthy.",
    )
    registration: Registration | None = Field(
        default=None,
        description="Whether backends may say themselves where they are. Without it, only those that are declared "
        "serve.",
    )
    backends: tuple[Backend, ...] = Field(
        default=(),
        description="The servers that run it: at least one, unless they register themselves.",
        examples=[[{"location": "eu-west-3", "address": "10.0.0.1:8000"}]],
    )


@part
class Deployment(Part):
    """The workload in one environment."""

    environment: Name = Field(description="The environment deployed to.", examples=["production"])
    enabled: bool = Field(
        default=True,
        description="Whether it is served. If not, requests get the same answer as if it were not deployed.",
        examples=[True],
    )
    policies: tuple[PolicyName, ...] = Field(
        default=(),
        description="Policies that bind this deployment, on top of the environment's: of this workspace, or "
        "`source/policy` of a PolicySource.",
        examples=[["gpu-only"], ["governance/europe"]],
    )
    routing: Routing | None = Field(
        default=None,
        description="To which of the allowed places its requests go. Without it, to the nearest first.",
    )
    retries: Retries | None = Field(
        default=None, description="When a request is sent again. Without it, as the defaults say."
    )
    timeouts: UpstreamTimeouts | None = Field(
        default=None, description="How long an Envoy waits for its backends. Without it, as the gateway says."
    )
    limits: UpstreamLimits | None = Field(
        default=None, description="What one Envoy sends to a revision at a time. Without it, no limit is met."
    )
    rollout: Rollout | None = Field(
        default=None,
        description="How traffic moves from one revision to another by itself. As long as it is declared, it decides "
        "the weights of the revisions.",
    )
    sticky: Sticky | None = Field(
        default=None,
        description="How callers stay with one revision. Without it, each request is dealt anew.",
    )
    shadow: Shadow | None = Field(
        default=None, description="Who is sent a copy of the split's requests. Without it, nobody."
    )
    served_by: bool = Field(
        default=False,
        description="Whether answers say in `x-fairlead-served-by` which revision and region they come from.",
        examples=[True],
    )
    testers: Testers | None = Field(
        default=None,
        description="Who may choose a revision. Without it, nobody, and `?revision=` is the workload's own.",
    )
    scale_from_zero: ScaleFromZero | None = Field(
        default=None,
        description="What becomes of requests to revisions with `registration` that have no backend. Without it, they "
        "are answered with 503.",
    )
    revisions: tuple[Revision, ...] = Field(
        min_length=1,
        description="The versions that share its requests.",
        examples=[[{"name": "v1", "backends": [{"location": "eu-west-3", "address": "10.0.0.1:8000"}]}]],
    )


@part
class Access(Part):
    """Who among the workspace's members may call."""

    claims: tuple[ClaimRule, ...] = Field(
        default=(),
        description="Conditions on the caller's token, all of which must hold.",
        examples=[[{"claim": "role", "anyOf": ["admin", "member"]}]],
    )


_MEMBERS = Access()


@part
class WorkloadSpec(Part):
    """Who may call the workload, and where it is deployed."""

    display_name: DisplayName | None = Field(
        default=None, description="The name shown to people.", examples=["Llama 3.1 8B"]
    )
    enabled: bool = Field(
        default=True,
        description="Whether it is served at all. If not, requests are answered as if it did not exist.",
        examples=[True],
    )
    warm: bool = Field(
        default=False,
        description="Whether every Envoy has its configuration from the start, also where others' is fetched on "
        "demand: it is served while the control plane is away, though nobody has asked for it before.",
        examples=[True],
    )
    access: Access = Field(
        default_factory=lambda: _MEMBERS,
        description="Who may call. Without it, every member of the workspace.",
    )
    deployments: tuple[Deployment, ...] = Field(
        min_length=1, description="Where it is deployed: at most once in each environment."
    )


@manifest
class Workload(Manifest):
    """What a run URL reaches: `/{workspace}/{segment}/{name}`."""

    segment: ClassVar[str]
    resource_type: ClassVar[ResourceType]

    metadata: WorkloadMetadata = Field(description="Who this manifest is.")
    spec: WorkloadSpec = Field(description="What it says.")

    @property
    def environments(self) -> tuple[str, ...]:
        """The environments of its deployments, those that are switched off included."""
        brief = self.brief
        if brief is not None:
            known: tuple[str, ...] = brief.environments
            return known
        return tuple(each.environment for each in self.spec.deployments)

    @property
    def published_policies(self) -> tuple[str, ...]:
        """What its deployments attach of policy sources, as `source/policy`, sorted; not what their environments do."""
        brief = self.brief
        if brief is not None:
            known: tuple[str, ...] = brief.policies
            return known
        named = {name for each in self.spec.deployments for name in each.policies if "/" in name}
        return tuple(sorted(named))


@manifest
class Model(Workload):
    """A model, reached at `/{workspace}/models/{name}`: who may call it, and where it is deployed."""

    kind: ClassVar[str] = "Model"
    segment: ClassVar[str] = "models"
    resource_type: ClassVar[ResourceType] = "model"


@manifest
class Agent(Workload):
    """An agent, reached at `/{workspace}/agents/{name}`. It has the shape of a Model."""

    kind: ClassVar[str] = "Agent"
    segment: ClassVar[str] = "agents"
    resource_type: ClassVar[ResourceType] = "agent"


@manifest
class Function(Workload):
    """A function, reached at `/{workspace}/functions/{name}`. It has the shape of a Model."""

    kind: ClassVar[str] = "Function"
    segment: ClassVar[str] = "functions"
    resource_type: ClassVar[ResourceType] = "function"
