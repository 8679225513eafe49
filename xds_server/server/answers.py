"""What clients answer: counted, and refusals told in the log with their owner."""

from __future__ import annotations

from typing import Any, Final

import structlog

from xds_server.protocol import Accepted, Event, Refused
from xds_server.protocol.types import short
from xds_server.server.metrics import Metrics, label

log = structlog.get_logger("fairlead.xds")

_FIRST: Final = 10


def report(event: Event, node_id: str, metrics: Metrics) -> None:
    """Count an answer; tell of a refusal."""
    kind = label(event.type_url)
    metrics.answer_seconds.labels(kind).observe(event.seconds)
    if isinstance(event, Accepted):
        metrics.accepted.labels(kind).inc()
        return
    metrics.refused.labels(kind).inc()
    _tell(event, {"node": node_id, "type": short(event.type_url), "error": event.text})


def _tell(event: Refused, common: dict[str, Any]) -> None:
    suspects = [refusal.resource.name for refusal in event.refusals if not refusal.named]
    if suspects or not event.refusals:
        log.warning(
            "node refused a response (NACK) and named no resource in it",
            resource=None,
            suspects=len(suspects),
            first_suspects=suspects[:_FIRST],
            **common,
        )
    for refusal in event.refusals:
        if refusal.named:
            log.warning(
                "node refused a resource (NACK); it keeps the version before",
                resource=refusal.resource.name,
                version=refusal.resource.version,
                origin=refusal.resource.origin,
                **common,
            )
