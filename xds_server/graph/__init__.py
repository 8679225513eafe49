"""The graph: manifests in, a resolved model out, with no reference left to look up.

In: ``Loaded`` (policy). Out: an immutable ``Graph`` of places, gateways, issuers and workspaces with their
endpoints, and diagnostics for what is wrong between manifests; ``explain`` says how a request is decided and why each
place is in or out. It must not know Envoy.

``placement`` is the policy algebra, ``builder`` keeps what is broken at its last good state.
"""

from .builder import Builder, Built
from .decision import Decision, Excluded, Hop, Refusal, Share
from .delivery import Delivery, find_delivery
from .direct import HEADER as USE_REVISION_HEADER
from .direct import PARAMETER as USE_REVISION_PARAMETER
from .endpoint import (
    Backend,
    ClientCertificate,
    Credentials,
    Deployment,
    Endpoint,
    HealthCheck,
    Revision,
    Trust,
    UpstreamTls,
)
from .explain import explain
from .graph import Authority, Certificate, Edge, Graph, Reach, Tenant
from .ground import Ground, Grounds
from .hold import NOTHING, Hold
from .loss import Loss, Vanished, find_loss
from .order import order_backends
from .path import PathRefusedError, RunPath, normalise_path, split_run_path
from .place import Flavor, Place, measure_distance, order_places
from .placement import Allowance, Attachment, Placement, Removal
from .restoration import Remains, Restored, restore
from .rule import ClaimRule
from .selection import Named, Selection, list_selections
from .traffic import Cookie, Shadow, Sticky, Traffic

__all__ = [
    "NOTHING",
    "USE_REVISION_HEADER",
    "USE_REVISION_PARAMETER",
    "Allowance",
    "Attachment",
    "Authority",
    "Backend",
    "Builder",
    "Built",
    "Certificate",
    "ClaimRule",
    "ClientCertificate",
    "Cookie",
    "Credentials",
    "Decision",
    "Delivery",
    "Deployment",
    "Edge",
    "Endpoint",
    "Excluded",
    "Flavor",
    "Graph",
    "Ground",
    "Grounds",
    "HealthCheck",
    "Hold",
    "Hop",
    "Loss",
    "Named",
    "PathRefusedError",
    "Place",
    "Placement",
    "Reach",
    "Refusal",
    "Remains",
    "Removal",
    "Restored",
    "Revision",
    "RunPath",
    "Selection",
    "Shadow",
    "Share",
    "Sticky",
    "Tenant",
    "Traffic",
    "Trust",
    "UpstreamTls",
    "Vanished",
    "explain",
    "find_delivery",
    "find_loss",
    "list_selections",
    "measure_distance",
    "normalise_path",
    "order_backends",
    "order_places",
    "restore",
    "split_run_path",
]
