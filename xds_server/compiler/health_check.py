"""Health checks of a revision's backends: by HTTP, by gRPC, or by a connection alone."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from xds_server.graph import HealthCheck, Revision

_JITTER_PERCENT = 20
_TELL_SECONDS = 1.0
"""How late an Envoy tells its workers of what a check found, by the default `update_merge_window`."""


def describe_health_checks(revision: Revision) -> dict[str, Any]:
    """The cluster's ``health_checks``: one, or none.

    A revision is one cluster, so each Envoy asks each of its backends once an interval, however many routes lead there.
    https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/health_check.proto
    """
    check = revision.health_check
    if check is None:
        return {}
    return {
        "health_checks": [
            {
                "interval": timedelta(seconds=check.interval),
                "timeout": timedelta(seconds=check.timeout),
                "no_traffic_interval": timedelta(seconds=check.interval),
                "unhealthy_threshold": {"value": check.unhealthy_threshold},
                "healthy_threshold": {"value": check.healthy_threshold},
                "interval_jitter_percent": _JITTER_PERCENT,
                **_checker(check),
            }
        ]
    }


def find_notice_seconds(revision: Revision) -> float:
    """How long an Envoy's checks may take to find a backend well again; nothing where it does not check.

    The last bad check may have begun just before; then come as many good ones as it takes.
    """
    check = revision.health_check
    if check is None:
        return 0.0
    between = check.interval * (1 + _JITTER_PERCENT / 100)
    return check.timeout + check.healthy_threshold * (between + check.timeout) + _TELL_SECONDS


def _checker(check: HealthCheck) -> dict[str, Any]:
    if check.type == "tcp":
        return {"tcp_health_check": {}}
    if check.type == "grpc":
        return {
            "grpc_health_check": {"service_name": check.service},
            # The checker speaks HTTP/2 whatever is agreed on, so it must not leave that to the server.
            "tls_options": {"alpn_protocols": ["h2"]},
        }
    statuses = [{"start": low, "end": high + 1} for low, high in check.statuses]
    return {"http_health_check": {"path": check.path, "expected_statuses": statuses}}
