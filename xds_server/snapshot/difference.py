"""What changed between two views."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import zip_longest

from xds_server.shards import Shards
from xds_server.snapshot.deferred import Deferred
from xds_server.snapshot.resource import Layer, Resource
from xds_server.snapshot.view import View

_NOTHING: Mapping[str, Resource] = {}
_NO_LAYER: Layer = {}


@dataclass(frozen=True, slots=True)
class Diff:
    """Names by type URL: new or with new bytes, and gone.

    Types without a change are not there; false when nothing changed.
    """

    changed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    removed: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.changed or self.removed)

    def types(self) -> frozenset[str]:
        """Return the type URLs with a change."""
        return frozenset(self.changed) | frozenset(self.removed)

    def names(self, type_url: str) -> frozenset[str]:
        """Return the names of one type that changed or went."""
        return self.changed.get(type_url, frozenset()) | self.removed.get(type_url, frozenset())


def diff(old: View | None, new: View) -> Diff:
    """Compare two views; `old` may be `None` (nothing yet).

    The same mapping costs one `is` for all of it, and of those that follow each other (`Shards`, `Deferred`) only what
    differs is looked at. Bytes are never compared.
    """
    before = old.layers if old is not None else ()
    changed: dict[str, set[str]] = {}
    removed: dict[str, set[str]] = {}
    for was, now in zip_longest(before, new.layers, fillvalue=_NO_LAYER):
        if was is now:
            continue
        for type_url in was.keys() | now.keys():
            _compare(
                was.get(type_url, _NOTHING),
                now.get(type_url, _NOTHING),
                changed.setdefault(type_url, set()),
                removed.setdefault(type_url, set()),
            )
    if old is not None:
        _settle_moves(old, new, changed, removed)
    return Diff(_frozen(changed), _frozen(removed))


def _compare(
    was: Mapping[str, Resource], now: Mapping[str, Resource], changed: set[str], removed: set[str]
) -> None:
    if was is now:
        return
    if isinstance(was, Deferred) and isinstance(now, Deferred) and now.follows(was):
        others, gone = now.since(was)
        changed.update(others)
        removed.update(gone)
        return
    if isinstance(was, Shards) and isinstance(now, Shards):
        others, gone = now.since(was)
        changed.update(name for name in others if name not in was or was[name].version != now[name].version)
        removed.update(gone)
        return
    for name in now:
        if name not in was or (was[name] is not now[name] and was[name].version != now[name].version):
            changed.add(name)
    removed.update(name for name in was if name not in now)


def _settle_moves(old: View, new: View, changed: dict[str, set[str]], removed: dict[str, set[str]]) -> None:
    """A name that went from one layer to another is neither gone nor, with equal bytes, changed."""
    for type_url, names in removed.items():
        for name in [name for name in names if new.has(type_url, name)]:
            names.discard(name)
            was, now = old.get(type_url, name), new.get(type_url, name)
            if was is not None and now is not None and was.version == now.version:
                changed[type_url].discard(name)


def _frozen(names: dict[str, set[str]]) -> dict[str, frozenset[str]]:
    return {type_url: frozenset(each) for type_url, each in names.items() if each}
