"""Resources in reserve: there for whoever names or follows them, and no part of everything.

A layer has them under a key of their own beside their type's, so that all else about layers stays as it is: what is the
same object is known to be unchanged, and a resource that moves in or out of the reserve is a difference.
"""

from __future__ import annotations

from typing import Final

_RESERVE: Final = "reserve:"


def reserve(type_url: str) -> str:
    """Return the key of a layer under which a type's resources are in reserve."""
    return _RESERVE + type_url


def is_reserve(key: str) -> bool:
    """Say whether a key of a layer is that of resources in reserve."""
    return key.startswith(_RESERVE)


def type_of(key: str) -> str:
    """Return the type URL of what stands under a key of a layer, in reserve, parked or not."""
    return key.rpartition(":")[2]
