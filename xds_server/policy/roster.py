"""Rosters: what each workspace declares, and the fleet, kept in step with the files one manifest at a time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, TypeVar

from xds_server.policy.kinds import FLEET_KINDS, Manifest
from xds_server.policy.kinds.workload import Workload
from xds_server.policy.kinds.workspace import Workspace
from xds_server.shards import EMPTY, Shards

FLEET: Final = ""
"""The owner of what belongs to no workspace."""

Key = tuple[str, str | None, str]
"""A manifest's identity: kind, workspace and name."""

AnyManifest = TypeVar("AnyManifest", bound=Manifest)


@dataclass(frozen=True, slots=True)
class Roster:
    """What one owner declares, by `Kind/name`: the workloads, of which there may be many, and all else."""

    settings: Shards[Manifest] = EMPTY
    workloads: Shards[Workload] = EMPTY

    @classmethod
    def of(cls, manifests: Iterable[Manifest]) -> Roster:
        """The roster of these manifests, whose names are unique."""
        return cls().amend((), {_slot(each.kind, each.name): each for each in manifests})

    def __len__(self) -> int:
        return len(self.settings) + len(self.workloads)

    def __iter__(self) -> Iterator[Manifest]:
        """All of them, by file and line."""
        yield from ordered((*self.settings.values(), *self.workloads.values()))

    def get(self, kind: str, name: str) -> Manifest | None:
        """The manifest of this kind and name, if it is declared."""
        slot = _slot(kind, name)
        return self.settings.get(slot) or self.workloads.get(slot)

    def list(self, kind: type[AnyManifest]) -> tuple[AnyManifest, ...]:
        """The settings of one kind, by file and line."""
        return tuple(ordered(each for each in self.settings.values() if isinstance(each, kind)))

    def amend(self, gone: Iterable[str], put: dict[str, Manifest]) -> Roster:
        """The roster without what is gone and with what is put, both by `Kind/name`."""
        gone = list(gone)
        workloads = {slot: each for slot, each in put.items() if isinstance(each, Workload)}
        settings = {slot: each for slot, each in put.items() if slot not in workloads}
        return Roster(self.settings.amend(gone, settings), self.workloads.amend(gone, workloads))


class Register:
    """All rosters, and what is declared more than once: the first one counts."""

    def __init__(self) -> None:
        self.rosters: Shards[Roster] = EMPTY
        self._repeated: dict[Key, list[Manifest]] = {}

    def replace(self, dropped: Iterable[Manifest], added: Iterable[Manifest]) -> None:
        """Take note that some manifests are no longer there, and that others are; by identity."""
        changes: dict[str, dict[str, Manifest | None]] = defaultdict(dict)
        for each in dropped:
            self._drop(each, changes[owner(each.key)])
        for each in added:
            self._add(each, changes[owner(each.key)])
        self.rosters = _amend(self.rosters, changes)

    def _drop(self, manifest: Manifest, changes: dict[str, Manifest | None]) -> None:
        others = self._repeated.pop(manifest.key, [manifest])
        rest = [each for each in others if each is not manifest]
        if len(rest) > 1:
            self._repeated[manifest.key] = rest
        changes[_slot(manifest.kind, manifest.name)] = rest[0] if rest else None

    def _add(self, manifest: Manifest, changes: dict[str, Manifest | None]) -> None:
        slot, key = _slot(manifest.kind, manifest.name), manifest.key
        known = changes[slot] if slot in changes else self._first(key)
        if known is None:
            changes[slot] = manifest
            return
        every = list(ordered([*self._repeated.get(key, [known]), manifest]))
        self._repeated[key] = every
        changes[slot] = every[0]

    def _first(self, key: Key) -> Manifest | None:
        roster = self.rosters.get(owner(key))
        return roster.get(key[0], key[2]) if roster is not None else None

    def find(self, key: Key) -> list[Manifest]:
        """Every manifest of this key, by file and line."""
        first = self._first(key)
        return self._repeated.get(key, [first] if first is not None else [])

    def repeated(self) -> list[Manifest]:
        """Everything that is declared more than once, by file and line, the first ones included."""
        return list(ordered(each for every in self._repeated.values() for each in every))

    def without(self, keys: Iterable[Key]) -> Shards[Roster]:
        """The rosters as if nothing of these keys were declared."""
        changes: dict[str, dict[str, Manifest | None]] = defaultdict(dict)
        for key in keys:
            changes[owner(key)][_slot(key[0], key[2])] = None
        return _amend(self.rosters, changes)


def owner(key: Key) -> str:
    """Whose manifest of this key is: a workspace's, its own or one's that it names, or the fleet's."""
    kind, workspace, name = key
    if kind in FLEET_KINDS:
        return FLEET
    return name if kind == Workspace.kind else str(workspace)


def ordered(manifests: Iterable[AnyManifest]) -> list[AnyManifest]:
    """Manifests by file and line."""
    return sorted(manifests, key=_place)


def _place(manifest: Manifest) -> tuple[str, int, int]:
    origin = manifest.origin
    return origin.file, origin.line, origin.index


def _amend(rosters: Shards[Roster], changes: dict[str, dict[str, Manifest | None]]) -> Shards[Roster]:
    put: dict[str, Roster] = {}
    for name, slots in changes.items():
        gone = [slot for slot, each in slots.items() if each is None]
        there = {slot: each for slot, each in slots.items() if each is not None}
        put[name] = rosters.get(name, _NOBODY).amend(gone, there)
    return rosters.amend(
        (name for name, each in put.items() if not len(each)), {n: e for n, e in put.items() if len(e)}
    )


def _slot(kind: str, name: str) -> str:
    return f"{kind}/{name}"


_NOBODY: Final = Roster()
