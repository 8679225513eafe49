"""Revisions for which requests may wait: those whose backends register themselves, where the deployment says so."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from .endpoint import Endpoint
from .scaling import Scaling


class Sleeper(NamedTuple):
    """One of them, and whether it has no backend now that could serve."""

    environment: str
    revision: str
    scaling: Scaling
    asleep: bool


def list_sleepers(endpoint: Endpoint) -> Iterator[Sleeper]:
    """All of an endpoint, in their order. A backend that policy forbids, or whose weight is 0, cannot serve."""
    if endpoint.unbuilt is not None:  # nothing is put off where backends register
        return
    for deployment in endpoint.deployments:
        if deployment.scaling is None:
            continue
        for revision in deployment.revisions:
            if revision.registration is not None:
                asleep = not any(backend.weight > 0 for backend in revision.backends)
                yield Sleeper(deployment.environment, revision.name, deployment.scaling, asleep)
