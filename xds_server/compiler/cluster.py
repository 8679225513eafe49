"""Clusters: one per revision, whose localities are the places it may run in.

Retries stay inside a cluster and weighted clusters know nothing of health, so the places of a revision are
localities of one cluster, and failover never leaves the set that policy allows (panic threshold 0).
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

from xds_server.graph import BOUNDLESS, Endpoint, Place, Revision
from xds_server.snapshot import Resource
from xds_server.wire import message_class

from .dns import DNS_DISCOVERY
from .encode import encode
from .health_check import describe_health_checks
from .load_assignment import describe_assignment
from .names import CLUSTER, name_cluster
from .residency import describe_subsets
from .target import Target
from .upstream_http import describe_protocol
from .upstream_tls import describe_transport

_CONNECT_TIMEOUT = timedelta(seconds=BOUNDLESS.connect)
_NO_PANIC = {"healthy_panic_threshold": {"value": 0}}
_PLENTY = 1_000_000


def needs_dns(revision: Revision) -> bool:
    """Whether a backend is named by DNS. EDS carries addresses only, so such a cluster resolves names itself."""
    return revision.by_dns


def name_clusters(endpoint: Endpoint, *, by_dns: bool) -> list[str]:
    """The names of an endpoint's clusters: of those that are tailored to a region, or of the others."""
    return [
        name_cluster(endpoint, environment, revision)
        for environment, revision, dns in endpoint.revisions
        if dns is by_dns
    ]


def compile_cluster(endpoint: Endpoint, environment: str, revision: Revision, target: Target) -> Resource:
    """The EDS cluster of a revision: the same for every node, wherever it is."""
    discovery = {"type": "EDS", "eds_cluster_config": {"eds_config": target.source}}
    return _encode(endpoint, environment, revision, target, discovery)


def compile_dns_cluster(
    endpoint: Endpoint, environment: str, revision: Revision, origin: Place | None, target: Target
) -> Resource:
    """The cluster of a revision with DNS names, tailored to the region that ``origin`` is in: endpoints inline."""
    name = name_cluster(endpoint, environment, revision.name)
    discovery = {
        **DNS_DISCOVERY,
        "load_assignment": describe_assignment(name, revision, origin),
    }
    return _encode(endpoint, environment, revision, target, discovery)


def _encode(
    endpoint: Endpoint, environment: str, revision: Revision, target: Target, discovery: dict[str, Any]
) -> Resource:
    name = name_cluster(endpoint, environment, revision.name)
    message = message_class(CLUSTER)(
        name=name,
        **{**_common(), **_balancing(revision), **_limits(revision), **describe_subsets(revision)},
        **discovery,
        **describe_transport(endpoint, revision, target),
        **describe_protocol(endpoint, revision, target),
        **describe_health_checks(revision),
    )
    return encode(message, name, endpoint.origin)


@cache
def _common() -> dict[str, Any]:
    """What all clusters have, as messages, which a larger one takes in at a fraction of what dicts cost."""
    message = message_class(CLUSTER)(
        connect_timeout=_CONNECT_TIMEOUT,
        common_lb_config=_NO_PANIC,
        outlier_detection=_outlier_detection(),
        circuit_breakers={"thresholds": [_threshold()]},
        ignore_health_on_host_removal=True,
    )
    return {field.name: value for field, value in message.ListFields()}


def _outlier_detection(failures: int = 3) -> dict[str, Any]:
    # Only what the network says: a model's own 5xx is an answer and takes nothing out of service.
    return {
        "interval": {"seconds": 1},
        "base_ejection_time": {"seconds": 3},
        "max_ejection_time": {"seconds": 30},
        "max_ejection_percent": {"value": 100},
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": {"value": failures},
        "enforcing_consecutive_local_origin_failure": {"value": 100},
        "enforcing_local_origin_success_rate": {"value": 0},
        "enforcing_consecutive_5xx": {"value": 0},
        "enforcing_consecutive_gateway_failure": {"value": 0},
        "enforcing_success_rate": {"value": 0},
    }


def _balancing(revision: Revision) -> dict[str, Any]:
    """How places share, where it is not as everywhere."""
    shares: dict[str, Any] = {"locality_weighted_lb_config": {}} if revision.routing.shares else {}
    if revision.routing.caller_choice:
        # A hint leads each attempt to the same place until Envoy knows that it is down. Two attempts are to be enough,
        # and the workers are to know at once, so that the third one goes elsewhere.
        config = {**_NO_PANIC, **shares, "update_merge_window": timedelta(0)}
        return {"common_lb_config": config, "outlier_detection": _outlier_detection(failures=2)}
    return {"common_lb_config": {**_NO_PANIC, **shares}} if shares else {}


def _limits(revision: Revision) -> dict[str, Any]:
    limits = revision.limits
    if limits == BOUNDLESS:
        return {}
    threshold = _threshold(limits.connections, limits.pending_requests, limits.requests)
    return {
        "connect_timeout": timedelta(seconds=limits.connect),
        "circuit_breakers": {"thresholds": [threshold]},
    }


def _threshold(
    connections: int | None = None, pending: int | None = None, requests: int | None = None
) -> dict[str, Any]:
    # Envoy's default of 1,024 is soon met by streams that last minutes. Retries keep within a budget instead.
    return {
        "max_connections": {"value": connections or _PLENTY},
        "max_pending_requests": {"value": pending or _PLENTY},
        "max_requests": {"value": requests or _PLENTY},
        "retry_budget": {"budget_percent": {"value": 25.0}, "min_retry_concurrency": {"value": 10}},
    }
