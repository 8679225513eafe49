"""Policy: the texts of a policy set in; typed manifests and diagnostics out.

`load` is the way in. What comes out is checked as far as manifests alone can tell; whether references between
them lead anywhere is for `graph` to say. This room reads no files, and must not know Envoy.
"""

from __future__ import annotations

from xds_server.policy.attachment import attached, references, resolved
from xds_server.policy.cache import LoadCache
from xds_server.policy.catalogue import BUILT_IN_LOCATIONS
from xds_server.policy.credential import credential_text
from xds_server.policy.diagnostic import EVERYTHING, Diagnostic, Position, Severity
from xds_server.policy.draft import Draft
from xds_server.policy.kinds import FLEET_KINDS, KINDS
from xds_server.policy.kinds.address import Address, AddressError, parse_address
from xds_server.policy.kinds.base import (
    API_VERSION,
    Manifest,
    Metadata,
    Part,
    WorkloadMetadata,
    WorkspaceMetadata,
)
from xds_server.policy.kinds.claim import ClaimRule, Testers
from xds_server.policy.kinds.credentials import UpstreamCredentials
from xds_server.policy.kinds.duration import format_duration, parse_duration
from xds_server.policy.kinds.embedded import is_tunnelled, list_reached
from xds_server.policy.kinds.gateway import (
    Gateway,
    GatewaySpec,
    Limits,
    Listener,
    ListenerTls,
    Paths,
    Timeouts,
)
from xds_server.policy.kinds.health_check import BackendHealthCheck, HealthCheck
from xds_server.policy.kinds.issuer import DEVELOPMENT_JWKS, InlineJwks, Issuer, IssuerSpec, Jwks
from xds_server.policy.kinds.location import Flavor, Location, LocationSpec
from xds_server.policy.kinds.overflow import Overflow
from xds_server.policy.kinds.place import CONTINENTS, CONTINENTS_OF, COUNTRIES
from xds_server.policy.kinds.policy import (
    RESOURCE_TYPES,
    AllowedFlavor,
    AllowedPlace,
    FlavorPolicy,
    LocationPolicy,
    Policy,
)
from xds_server.policy.kinds.policy_source import AnyPolicy, PolicySource, PolicySourceSpec, PublishedPolicy
from xds_server.policy.kinds.rollout import Rollout
from xds_server.policy.kinds.routing import Routing
from xds_server.policy.kinds.scaling import ScaleFromZero, Wake
from xds_server.policy.kinds.traffic import Shadow, Sticky, StickyCookie
from xds_server.policy.kinds.upstream import Retries, UpstreamLimits, UpstreamTimeouts
from xds_server.policy.kinds.workload import (
    Access,
    Agent,
    Backend,
    BackendTls,
    Deployment,
    Function,
    Model,
    Revision,
    Workload,
    WorkloadSpec,
)
from xds_server.policy.kinds.workspace import (
    BUILT_IN_ENVIRONMENTS,
    Environment,
    EnvironmentSpec,
    Workspace,
    WorkspaceSpec,
)
from xds_server.policy.loading import Loaded, load
from xds_server.policy.origin import Origin
from xds_server.policy.pem import pem_text
from xds_server.policy.publication import LARGEST_PUBLICATION, Publication, read_publication
from xds_server.policy.roster import FLEET, Roster, ordered
from xds_server.policy.suggestion import closest, did_you_mean
from xds_server.policy.unread import Brief, Known, list_plain

__all__ = [
    "API_VERSION",
    "BUILT_IN_ENVIRONMENTS",
    "BUILT_IN_LOCATIONS",
    "CONTINENTS",
    "CONTINENTS_OF",
    "COUNTRIES",
    "DEVELOPMENT_JWKS",
    "EVERYTHING",
    "FLEET",
    "FLEET_KINDS",
    "KINDS",
    "LARGEST_PUBLICATION",
    "RESOURCE_TYPES",
    "Access",
    "Address",
    "AddressError",
    "Agent",
    "AllowedFlavor",
    "AllowedPlace",
    "AnyPolicy",
    "Backend",
    "BackendHealthCheck",
    "BackendTls",
    "Brief",
    "ClaimRule",
    "Deployment",
    "Diagnostic",
    "Draft",
    "Environment",
    "EnvironmentSpec",
    "Flavor",
    "FlavorPolicy",
    "Function",
    "Gateway",
    "GatewaySpec",
    "HealthCheck",
    "InlineJwks",
    "Issuer",
    "IssuerSpec",
    "Jwks",
    "Known",
    "Limits",
    "Listener",
    "ListenerTls",
    "LoadCache",
    "Loaded",
    "Location",
    "LocationPolicy",
    "LocationSpec",
    "Manifest",
    "Metadata",
    "Model",
    "Origin",
    "Overflow",
    "Part",
    "Paths",
    "Policy",
    "PolicySource",
    "PolicySourceSpec",
    "Position",
    "Publication",
    "PublishedPolicy",
    "Retries",
    "Revision",
    "Rollout",
    "Roster",
    "Routing",
    "ScaleFromZero",
    "Severity",
    "Shadow",
    "Sticky",
    "StickyCookie",
    "Testers",
    "UpstreamCredentials",
    "Timeouts",
    "UpstreamLimits",
    "UpstreamTimeouts",
    "Wake",
    "Workload",
    "WorkloadMetadata",
    "WorkloadSpec",
    "Workspace",
    "WorkspaceMetadata",
    "WorkspaceSpec",
    "attached",
    "closest",
    "credential_text",
    "did_you_mean",
    "format_duration",
    "is_tunnelled",
    "list_plain",
    "list_reached",
    "load",
    "ordered",
    "parse_address",
    "parse_duration",
    "pem_text",
    "read_publication",
    "references",
    "resolved",
]
