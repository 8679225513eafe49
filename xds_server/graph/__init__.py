"""The graph: manifests in, a resolved model out, with no reference left to look up.

In: ``Loaded`` (policy). Out: an immutable ``Graph`` of places, gateways, issuers and workspaces with their
endpoints, and diagnostics for what is wrong between manifests; ``explain`` says how a request is decided and why each
place is in or out. It must not know Envoy.

``live`` lays over it what moves at run time.

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
from .handling import BOUNDLESS, IDEMPOTENT, Handling, Limits, Retries
from .hold import NOTHING, Hold
from .live import Facts, Live, Moved, Overlay, Registered, build_registered
from .loss import Loss, Vanished, find_loss
from .order import Tier, order_backends
from .path import PathRefusedError, RunPath, normalise_path, split_run_path
from .place import Flavor, Place, measure_distance, order_places
from .placement import Allowance, Attachment, Placement, Removal
from .publisher import Publisher, Publishers
from .residency import HINT_HEADER, RESIDENCY_HEADER, list_names, list_residencies
from .restoration import Remains, Restored, restore
from .routing import Routing
from .rule import ClaimRule
from .scaling import Scaling, WakeHook
from .selection import Named, Selection, list_selections
from .sleepers import Sleeper, list_sleepers
from .traffic import Cookie, Shadow, Sticky, Traffic

__all__ = [
    "HINT_HEADER",
    "RESIDENCY_HEADER",
    "BOUNDLESS",
    "IDEMPOTENT",
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
    "Facts",
    "Flavor",
    "Graph",
    "Ground",
    "Grounds",
    "Handling",
    "HealthCheck",
    "Hold",
    "Hop",
    "Limits",
    "Live",
    "Loss",
    "Moved",
    "Named",
    "Overlay",
    "PathRefusedError",
    "Place",
    "Placement",
    "Publisher",
    "Publishers",
    "Reach",
    "Refusal",
    "Registered",
    "Remains",
    "Removal",
    "Restored",
    "Retries",
    "Revision",
    "Routing",
    "RunPath",
    "Scaling",
    "Selection",
    "Shadow",
    "Share",
    "Sleeper",
    "Sticky",
    "Tenant",
    "Tier",
    "Traffic",
    "Trust",
    "UpstreamTls",
    "Vanished",
    "WakeHook",
    "build_registered",
    "explain",
    "find_delivery",
    "find_loss",
    "list_names",
    "list_residencies",
    "list_selections",
    "list_sleepers",
    "measure_distance",
    "normalise_path",
    "order_backends",
    "order_places",
    "restore",
    "split_run_path",
]
