"""Rules: what can be known to be wrong within one manifest beyond the shape of each value.

In: the kind and values of one document, which may have other faults. Out: faults with their paths. Rules look
at values, not at models, so that one bad value does not hide the others; each is silent about values whose
shape is wrong, which has been said already.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xds_server.policy.reading.fault import Fault


def rules(kind: str, body: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in a document of this kind."""
    yield from ()
