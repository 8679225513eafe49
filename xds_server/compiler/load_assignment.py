"""Endpoints of a revision as one region sees them: its places by priority, the nearest allowed one first."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import Any

from google.protobuf.message import Message

from xds_server.graph import Backend, Endpoint, Place, Revision, Tier, order_backends
from xds_server.snapshot import Resource
from xds_server.wire import message_class

from .encode import encode, flat_struct
from .names import CLUSTER_LOAD_ASSIGNMENT, ENDPOINT_METADATA, SUBSET_METADATA, name_cluster
from .residency import Label, label_backend
from .upstream_credentials import name_choice
from .upstream_tls import name_match


def compile_assignment(
    endpoint: Endpoint, environment: str, revision: Revision, origin: Place | None
) -> Resource:
    """The revision's ClusterLoadAssignment for nodes in the region that ``origin`` is in."""
    name = name_cluster(endpoint, environment, revision.name)
    message = message_class(CLUSTER_LOAD_ASSIGNMENT)(**describe_assignment(name, revision, origin))
    return encode(message, name, endpoint.origin)


def describe_assignment(name: str, revision: Revision, origin: Place | None) -> dict[str, Any]:
    """The assignment's fields. A revision without a usable backend gives an empty one, which Envoy answers with 503."""
    tiers = order_backends(revision, origin)
    # Where places share by weight, each needs one, also those behind: Envoy takes none for 0.
    weighted = revision.routing.shares
    return {
        "cluster_name": name,
        "endpoints": [
            {
                "locality": {"region": tier.place.region, "zone": tier.place.name},
                "priority": tier.priority,
                "lb_endpoints": [_endpoint(revision, backend) for backend in tier.backends],
                **({"load_balancing_weight": {"value": tier.weight}} if weighted else {}),
            }
            for tier in tiers
        ],
        **({"policy": _keep_together(tiers)} if weighted else {}),
    }


def _keep_together(tiers: list[Tier]) -> dict[str, Any]:
    """Has Envoy use a priority alone as long as one of its backends answers, and a place for its whole share.

    Otherwise it trusts a priority with 1.4 times the part of its backends that answers, whatever their places weigh: of
    two places that share, one that is down would send 30 of 100 requests to places that do not.
    https://www.envoyproxy.io/docs/envoy/latest/intro/arch_overview/upstream/load_balancing/overprovisioning
    """
    members: Counter[int] = Counter()
    for tier in tiers:
        members[tier.priority] += len(tier.backends)
    return {"overprovisioning_factor": {"value": 100 * max(members.values(), default=1)}}


def _endpoint(revision: Revision, backend: Backend) -> dict[str, Any]:
    address = backend.address
    endpoint: dict[str, Any] = {
        "address": {"socket_address": {"address": address.host, "port_value": address.port}},
    }
    if not address.is_ip:
        endpoint["hostname"] = address.authority
    health: dict[str, Any] = {}
    if backend.health_port is not None:
        health["port_value"] = backend.health_port
    if not backend.health_checked:
        health["disable_active_health_check"] = True
    if health:
        endpoint["health_check_config"] = health
    return {
        "endpoint": endpoint,
        "load_balancing_weight": {"value": backend.weight},
        "metadata": _metadata(
            backend.place.region,
            backend.path_prefix,
            name_match(revision, backend),
            name_choice(revision, backend),
            label_backend(backend) if revision.routing.caller_choice else None,
        ),
    }


@lru_cache(maxsize=4096)
def _metadata(
    region: str, prefix: str, match: str | None, credentials: str | None, label: Label | None
) -> Message:
    """What Envoy keeps of a backend: mostly the same in a region, so it is made once. Not to be changed.

    ``label`` is what it is called where callers may choose.
    """
    facts = {"region": region}
    if prefix:
        facts["prefix"] = prefix
    if credentials is not None:
        facts["credentials"] = credentials
    metadata = {ENDPOINT_METADATA: flat_struct(facts)}
    if match is not None:
        metadata["envoy.transport_socket_match"] = flat_struct({"tls": match})
    if label is not None:
        metadata[SUBSET_METADATA] = label.describe()
    return message_class("envoy.config.core.v3.Metadata")(filter_metadata=metadata)
