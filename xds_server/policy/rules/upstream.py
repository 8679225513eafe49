"""Retries and timeouts of a deployment: values that cannot go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xds_server.policy.reading.fault import Fault, Path
from xds_server.policy.rules.value import mapping, seconds

_CONDITIONS = ("retryNonIdempotent", "retryOn429")


def upstream_rules(way: Path, deployment: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in a deployment's `retries` and `timeouts`; `way` is the deployment's path."""
    retries, timeouts = mapping(deployment, "retries"), mapping(deployment, "timeouts")
    for key in _CONDITIONS if retries.get("attempts") == 0 else ():
        if retries.get(key) is True:
            message = f"`{key}` says when to send a request again, and `attempts: 0` never to"
            yield Fault("bad-value", (*way, "retries", key), message, "leave one of them out", key=True)
    total = seconds(timeouts, "total")
    for part, key in (("timeouts", "connect"), ("timeouts", "idle"), ("retries", "perTryTimeout")):
        within = seconds(mapping(deployment, part), key)
        if total is not None and within is not None and within > total:
            message = f"`{key}` is longer than `total`, so it never ends a wait"
            yield Fault("bad-value", (*way, part, key), message, "make `total` the longer one")
