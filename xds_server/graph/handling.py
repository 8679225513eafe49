"""Handling: when a deployment's requests are sent again, how long they may take, and how many there may be at once."""

from __future__ import annotations

from dataclasses import dataclass

from xds_server.policy import Deployment as DeploymentSpec
from xds_server.policy import format_duration

IDEMPOTENT = ("DELETE", "GET", "HEAD", "OPTIONS", "PUT", "TRACE")
"""The methods of which a request may be run twice. One that is not known is not among them.

https://www.rfc-editor.org/rfc/rfc9110#section-9.2.2
"""


@dataclass(frozen=True, slots=True)
class Retries:
    """When a request is sent again, ``attempts`` times at most. ``per_try_timeout`` in seconds."""

    attempts: int = 3
    non_idempotent: bool = False
    on_429: bool = False
    per_try_timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Handling:
    """How requests to a deployment are handled. ``idle`` and ``total`` in seconds; ``None``: as the gateway says."""

    retries: Retries = Retries()
    idle: float | None = None
    total: float | None = None


@dataclass(frozen=True, slots=True)
class Limits:
    """How an Envoy meets the backends of a revision: seconds for a connection, and how much at once.

    ``None``: no limit that is ever met.
    """

    connect: float = 2.0
    connections: int | None = None
    pending_requests: int | None = None
    requests: int | None = None


USUAL = Handling()
"""Of a deployment that says nothing: shared by all of them."""

BOUNDLESS = Limits()
"""As ``USUAL``."""


def build_handling(spec: DeploymentSpec) -> Handling:
    """How a deployment's requests are handled."""
    if spec.retries is None and spec.timeouts is None:
        return USUAL
    retries = Retries()
    if spec.retries is not None:
        said = spec.retries
        retries = Retries(said.attempts, said.retry_non_idempotent, said.retry_on_429, said.per_try_timeout)
    idle, total = (spec.timeouts.idle, spec.timeouts.total) if spec.timeouts is not None else (None, None)
    return Handling(retries, idle, total)


def build_limits(spec: DeploymentSpec) -> Limits:
    """How an Envoy meets the backends of a deployment's revisions."""
    if spec.timeouts is None and spec.limits is None:
        return BOUNDLESS
    connect = spec.timeouts.connect if spec.timeouts is not None else BOUNDLESS.connect
    if spec.limits is None:
        return Limits(connect)
    said = spec.limits
    return Limits(connect, said.connections, said.pending_requests, said.requests)


def list_reasons(retries: Retries, method: str) -> tuple[str, ...]:
    """Why a request of this method is sent again, in words for people."""
    again = retries.non_idempotent or method in IDEMPOTENT
    silent = again and retries.per_try_timeout
    return (
        *("no connection", "refused", "lost before it was sent"),
        *(("gone before it answered", "503") if again else ()),
        *(("429",) if retries.on_429 else ()),
        *((f"silent for {format_duration(silent)}",) if silent else ()),
    )
