"""Every name that Fairlead gives to a thing in Envoy. Names are identity: never a position, never a content hash.

An edit must not rename a cluster, since that resets its connections.
"""

from __future__ import annotations

from xds_server import snapshot
from xds_server.graph import Endpoint

LISTENER = "envoy.config.listener.v3.Listener"
ROUTE_CONFIGURATION = "envoy.config.route.v3.RouteConfiguration"
SCOPED_ROUTE_CONFIGURATION = "envoy.config.route.v3.ScopedRouteConfiguration"
CLUSTER = "envoy.config.cluster.v3.Cluster"
CLUSTER_LOAD_ASSIGNMENT = "envoy.config.endpoint.v3.ClusterLoadAssignment"
EXTENSION_CONFIG = "envoy.config.core.v3.TypedExtensionConfig"
RUNTIME = "envoy.service.runtime.v3.Runtime"
SECRET = "envoy.extensions.transport_sockets.tls.v3.Secret"  # noqa: S105 (a type, not a password)

# HTTP filters, in the order in which they stand. Those that change with issuers and workspaces come over ECDS under
# the same name; `ACCESS` and `CALLER` are also keys of per-model configuration in routes.
PATH_NOTE = "fairlead.path_note"
WORKSPACE_NOTE = "fairlead.workspace_note"
CREDENTIALS = "fairlead.credentials"
AUTHENTICATION = "fairlead.authentication"
MEMBERSHIP = "fairlead.membership"
REQUEST = "fairlead.request"
ON_DEMAND = "fairlead.on_demand"
ACCESS = "fairlead.access"
CALLER = "fairlead.caller"
RESIDENCY = "fairlead.residency"
RESIDENCY_NOTE = "fairlead.residency_note"
LOCATION_HINT = "fairlead.location_hint"
INTERNAL_HEADERS = "fairlead.internal_headers"
IDEMPOTENT_RETRIES = "fairlead.idempotent_retries"
WAITING = "fairlead.waiting"
ROUTER = "envoy.filters.http.router"
# Filters behind the choice of a backend.
BACKEND = "fairlead.backend"
BACKEND_PREFIX = "fairlead.prefix"
INJECTOR = "fairlead.injector"
CREDENTIALS_LABEL = "fairlead.credentials_label"

# The namespace of jwt_authn in dynamic metadata is fixed by Envoy.
JWT_METADATA = "envoy.filters.http.jwt_authn"
# Our namespace in endpoint metadata.
ENDPOINT_METADATA = "fairlead"
# The namespace in which Envoy compares what a request asks for with what an endpoint is. Fixed by Envoy, too.
SUBSET_METADATA = "envoy.lb"
# Our namespace in route metadata: what residencies a deployment offers.
RESIDENCY_METADATA = "fairlead.residencies"
# As before: when to come back to a deployment that scales from zero.
SCALING_METADATA = "fairlead.scaling"

# Dynamic metadata: the path's workspace, where conditions can't cut it out of the path themselves.
PATH_METADATA = "fairlead.normalised_path"
PATH_WORKSPACE = "workspace"

# Filter state: the path for the access log.
PATH_STATE = snapshot.WAITED_PATH

# Headers.
PATH_HEADER = "x-fairlead-path"  # internal: where the scope key is cut from
WORKSPACE_HEADER = "x-fairlead-workspace"
MODEL_HEADER = "x-fairlead-model"
ENVIRONMENT_HEADER = "x-fairlead-environment"
REVISION_HEADER = "x-fairlead-revision"
REGION_HEADER = "x-fairlead-region"
PREFIX_HEADER = "x-fairlead-prefix"  # internal: carries a backend's path prefix between two upstream filters
ERROR_HEADER = "x-fairlead-error"
FENCE_HEADER = "x-fairlead-fence"  # internal: carries the residency that the caller's token is bound to
CREDENTIALS_HEADER = "x-fairlead-credentials"  # internal: which credentials the chosen backend wants
SHADOW_HEADER = "x-fairlead-shadow"
SERVED_BY_HEADER = "x-fairlead-served-by"
CALLER_HEADER = "x-fairlead-caller"  # internal: by what a sticky split knows the caller

SYSTEM_ROOTS = "system-roots"


def name_cluster(endpoint: Endpoint, environment: str, revision: str) -> str:
    """The cluster of one revision, as ``acme/models/llama/production/v2``."""
    return f"{endpoint.path}/{environment}/{revision}"


def find_path(name: str) -> str:
    """The path of the endpoint of which a resource is that has this name; any text if it is of none."""
    return "/".join(name.split("/", 3)[:3])


def name_authority_secret(endpoint: Endpoint, ca: str) -> str:
    """The secret that holds a CA file of an endpoint, by the file's path as its manifest has it."""
    return f"{endpoint.path}/ca/{ca}"


def name_credentials(endpoint: Endpoint, label: str) -> str:
    """The secret that an endpoint's backends are shown, by its label."""
    return f"{endpoint.path}/credentials/{label}"


def name_client_certificate(endpoint: Endpoint, file: str) -> str:
    """The secret that holds a certificate that an endpoint's backends are shown, with its key, by its file."""
    return f"{endpoint.path}/certificate/{file}"


def name_certificate(gateway: str, listener: str) -> str:
    """The secret that holds a listener's certificate and key."""
    return f"{gateway}/{listener}"


def name_key_cluster(issuer: str) -> str:
    """The cluster from which Envoy fetches an issuer's keys."""
    return f"issuer/{issuer}"


def name_service(endpoint: Endpoint, environment: str) -> str:
    """What a client without Envoy asks for: ``acme/models/llama/development``. No name of an endpoint has a slash."""
    return f"{endpoint.path}/{environment}"


def name_member(cluster: str, authority: str) -> str:
    """The cluster of one DNS name among those of a revision."""
    return f"{cluster}/{authority}"
