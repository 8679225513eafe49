"""Clusters: one per revision, whose localities are the places it may run in.

Retries stay inside a cluster and weighted clusters know nothing of health, so the places of a revision are
localities of one cluster, and failover never leaves the set that policy allows (panic threshold 0).
"""

from __future__ import annotations

from datetime import timedelta
from functools import cache
from typing import Any

from xds_server.graph import Endpoint, Place, Revision
from xds_server.snapshot import Resource
from xds_server.wire import message_class

from .dns import DNS_DISCOVERY
from .encode import encode
from .load_assignment import describe_assignment
from .names import CLUSTER, name_cluster
from .target import Target
from .upstream_http import describe_protocol
from .upstream_tls import describe_transport

_CONNECT_TIMEOUT = {"seconds": 2}
_JITTER_PERCENT = 20


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
        **_common(),
        **discovery,
        **describe_transport(endpoint, revision, target),
        **describe_protocol(endpoint, revision, target),
        **_health_checks(revision),
    )
    return encode(message, name, endpoint.origin)


@cache
def _common() -> dict[str, Any]:
    """What all clusters have, as messages, which a larger one takes in at a fraction of what dicts cost."""
    message = message_class(CLUSTER)(
        connect_timeout=_CONNECT_TIMEOUT,
        common_lb_config={"healthy_panic_threshold": {"value": 0}},
        outlier_detection=_outlier_detection(),
        circuit_breakers={"thresholds": [_threshold()]},
        ignore_health_on_host_removal=True,
    )
    return {field.name: value for field, value in message.ListFields()}


def _outlier_detection() -> dict[str, Any]:
    # Only what the network says: a model's own 5xx is an answer and takes nothing out of service.
    return {
        "interval": {"seconds": 1},
        "base_ejection_time": {"seconds": 3},
        "max_ejection_time": {"seconds": 30},
        "max_ejection_percent": {"value": 100},
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": {"value": 3},
        "enforcing_consecutive_local_origin_failure": {"value": 100},
        "enforcing_local_origin_success_rate": {"value": 0},
        "enforcing_consecutive_5xx": {"value": 0},
        "enforcing_consecutive_gateway_failure": {"value": 0},
        "enforcing_success_rate": {"value": 0},
    }


def _threshold() -> dict[str, Any]:
    # Envoy's default of 1,024 is soon met by streams that last minutes. Retries keep within a budget instead.
    plenty = {"value": 1_000_000}
    return {
        "max_connections": plenty,
        "max_pending_requests": plenty,
        "max_requests": plenty,
        "retry_budget": {"budget_percent": {"value": 25.0}, "min_retry_concurrency": {"value": 10}},
    }


def _health_checks(revision: Revision) -> dict[str, Any]:
    check = revision.health_check
    if check is None:
        return {}
    statuses = [{"start": low, "end": high + 1} for low, high in check.statuses]
    return {
        "health_checks": [
            {
                "interval": timedelta(seconds=check.interval),
                "timeout": timedelta(seconds=check.timeout),
                "no_traffic_interval": timedelta(seconds=check.interval),
                "unhealthy_threshold": {"value": check.unhealthy_threshold},
                "healthy_threshold": {"value": check.healthy_threshold},
                "interval_jitter_percent": _JITTER_PERCENT,
                "http_health_check": {"path": check.path, "expected_statuses": statuses},
            }
        ]
    }
