"""Endpoints of a revision as one region sees them: its places by priority, the nearest allowed one first."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from google.protobuf.message import Message

from xds_server.graph import Backend, Endpoint, Place, Revision, order_backends
from xds_server.snapshot import Resource
from xds_server.wire import message_class

from .encode import encode, flat_struct
from .names import CLUSTER_LOAD_ASSIGNMENT, ENDPOINT_METADATA, name_cluster
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
    return {
        "cluster_name": name,
        "endpoints": [
            {
                "locality": {"region": tier[0].place.region, "zone": tier[0].place.name},
                "priority": priority,
                "lb_endpoints": [_endpoint(revision, backend) for backend in tier],
            }
            for priority, tier in enumerate(order_backends(revision, origin))
        ],
    }


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
        ),
    }


@lru_cache(maxsize=4096)
def _metadata(region: str, prefix: str, match: str | None, credentials: str | None) -> Message:
    """What Envoy keeps of a backend: mostly the same in a region, so it is made once. Not to be changed."""
    facts = {"region": region}
    if prefix:
        facts["prefix"] = prefix
    if credentials is not None:
        facts["credentials"] = credentials
    metadata = {ENDPOINT_METADATA: flat_struct(facts)}
    if match is not None:
        metadata["envoy.transport_socket_match"] = flat_struct({"tls": match})
    return message_class("envoy.config.core.v3.Metadata")(filter_metadata=metadata)
