"""Attribution: whom a document concerns that cannot be read as a manifest.

A document that cannot be read might have been the very Environment that keeps a workspace within bounds. So
the loader says of each such document who it may concern, and those keep their last good state; when the text
gives no name, that is everyone. A file that cannot be read never widens what a workspace allows.
"""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Any

from xds_server.policy.diagnostic import EVERYTHING
from xds_server.policy.kinds import FLEET_KINDS, KINDS
from xds_server.policy.kinds.names import NAME
from xds_server.policy.suggestion import closest

_PAIR = re.compile(r"""([A-Za-z_-]+)["']?[ \t]*:(?![^\s"'])[ \t]*([^\n,{}#]*)""")
_MOST_PAIRS = 5000
"""Looking at each pair takes a while, and no readable manifest has nearly as many."""

_COMMENT = re.compile(r"^[ \t]*#.*$", re.MULTILINE)
_NAME = re.compile(NAME)


def concerned(values: Any) -> frozenset[str] | None:
    """Whom a readable document concerns: its workspace, or None for the fleet, or `EVERYTHING`.

    `values` is what the document holds, whether or not it makes a manifest.
    """
    metadata = values.get("metadata") if isinstance(values, dict) else None
    kind = values.get("kind") if isinstance(values, dict) else None
    kind = closest(kind, KINDS) if isinstance(kind, str) and kind not in KINDS else kind
    kind = kind if isinstance(kind, str) else None
    if kind in FLEET_KINDS:
        return None
    key = "name" if kind == "Workspace" else "workspace"
    name = metadata.get(key) if isinstance(metadata, dict) else None
    if isinstance(name, str) and _NAME.fullmatch(name):
        return frozenset({name})
    return EVERYTHING


def names(text: str) -> frozenset[str]:
    """The names by which manifests in a text that cannot be read may go: every `name:` in it, spelt well or nearly."""
    found = _pairs(text)
    if len(found) > _MOST_PAIRS:
        return frozenset()
    return frozenset(value for key, value in found if _alike(key, "name") and _NAME.fullmatch(value))


def mentioned(text: str) -> frozenset[str] | None:
    """Whom a text that cannot be read may concern, from the names in it.

    Every `workspace: name`, spelt well or nearly, and every `name:` where a `kind: Workspace` is. A name that
    cannot be made out, more manifests than names, a mix of workspaces and fleet kinds, or nothing at all:
    `EVERYTHING`.
    """
    pairs = _pairs(text)
    if len(pairs) > _MOST_PAIRS:
        return EVERYTHING
    kinds = [closest(value, KINDS) for key, value in pairs if _alike(key, "kind")]
    found = [value for key, value in pairs if _alike(key, "workspace")]
    if "Workspace" in kinds:
        found += [value for key, value in pairs if _alike(key, "name")]
    if kinds and not found and FLEET_KINDS.issuperset(kinds):
        return None
    if not found or len(kinds) > len(found) or not FLEET_KINDS.isdisjoint(kinds):
        return EVERYTHING
    return frozenset(found) if all(_NAME.fullmatch(name) for name in found) else EVERYTHING


def _pairs(text: str) -> list[tuple[str, str]]:
    return [(key, value.strip(" \t\"'")) for key, value in _PAIR.findall(_COMMENT.sub("", text))]


@lru_cache(maxsize=4096)
def _alike(key: str, word: str) -> bool:
    return SequenceMatcher(None, key.casefold(), word).ratio() >= 0.8
