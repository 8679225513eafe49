"""How long anything waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Timing:
    """Waits, in seconds."""

    cluster_ack: float = 15.0
    """How long a route may wait for the acknowledgement of its clusters. On an aggregated stream Envoy holds it
    back until the clusters are warm, 15 s at most."""
    endpoints_ack: float = 5.0
    """How long a route may wait, beside that, for the acknowledgement of its clusters' endpoints on other
    streams. Less than what Envoy waits for a first answer, 15 s."""
    cluster_grace: float = 5.0
    """How long a cluster stays after the last acknowledged reference to it went."""
    cluster_tick: float = 1.0
    """Clusters whose grace is over leave together, when the clock comes to the next multiple of this: under many
    changes a second, one response tells of all that leave, and the next new cluster seldom waits for its answer."""
