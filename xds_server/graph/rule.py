"""Conditions on the claims of a caller's token."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ClaimRule:
    """A condition on the token: the claim at ``path`` is, or holds, one of ``any_of``. Empty means never."""

    path: tuple[str, ...]
    any_of: tuple[str, ...]
