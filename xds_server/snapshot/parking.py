"""Parked resources: there, and kept back from all clients until something comes that they need.

A layer has them under a key of their own, beside where they stand otherwise: what is parked is hidden there. So nothing
else about layers changes, and a resource that is parked, or no longer is, is a difference.

The rest are the words by which clients and the server understand each other about those who wait for them.
"""

from __future__ import annotations

from typing import Final

WAITS: Final = ("x-fairlead-stream", "waits")
"""The header, and its value, of a stream on which a client asks for what its requests wait for."""
WAITS_LOG: Final = "fairlead.waits"
"""The access log in which it says that they do."""
WAITED_PATH: Final = "fairlead.path"
"""The filter state that its entries have: the path that was asked for."""
WAITED_ENVIRONMENT: Final = "environment"
WAITED_REVISIONS: Final = "revisions"
"""Tags of its entries: for which environment, and for one of which revisions, a request waits."""

_PARKED: Final = "parked:"


def parked(type_url: str) -> str:
    """Return the key of a layer under which a type's parked resources are."""
    return _PARKED + type_url


def is_parked(key: str) -> bool:
    """Say whether a key of a layer is that of parked resources."""
    return key.startswith(_PARKED)
