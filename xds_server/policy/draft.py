"""Drafts: documents that make no manifest, as far as they can be read.

Nothing that a draft says takes effect. But what it refers to can be looked at all the same, so that every
mistake is told at once; and what it declares is there, only broken, so that references to it are not called
mistakes as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from xds_server.policy.diagnostic import EVERYTHING, Position
from xds_server.policy.kinds import FLEET_KINDS, Manifest
from xds_server.policy.origin import Origin
from xds_server.policy.reading.fault import Path, as_written

Pattern = tuple[str | None, ...]
"""The way to values: keys of mappings, and None for every index of a list."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A document that makes no manifest.

    `kind` is the kind that it is, or most likely is; None where it may be of any. `names` holds the names that
    it may go by: one, when it could be read; those that its text mentions, when it could not; None for any name
    at all. `workspace` is its `metadata.workspace`, if that can be read, and `concerned` says whom it is a
    mistake of, as in `Diagnostic.workspaces`. `values` is what it holds, misspelt keys under the name that was
    meant; any of it may be of the wrong type. `written` tells where such keys stand in the text.
    """

    title: str
    kind: str | None = None
    names: frozenset[str] | None = frozenset()
    workspace: str | None = None
    concerned: frozenset[str] | None = EVERYTHING
    values: Mapping[str, Any] = field(default_factory=dict, repr=False)
    written: Mapping[Path, str] = field(default_factory=dict, repr=False)
    origin: Origin = Origin.NOWHERE

    @classmethod
    def of(cls, manifest: Manifest) -> Draft:
        """A manifest that must not take effect for a reason outside itself."""
        return cls(
            title=manifest.title,
            kind=manifest.kind,
            names=frozenset({manifest.name}),
            workspace=manifest.workspace,
            concerned=manifest.concerned,
            values=manifest.values(),
            origin=manifest.origin,
        )

    @property
    def key(self) -> tuple[str, str | None, str] | None:
        """The kind, workspace and name of the manifest that this would be; None where that is not certain."""
        if self.kind is None or self.names is None or len(self.names) != 1:
            return None
        if self.workspace is None and self.kind not in FLEET_KINDS and self.kind != "Workspace":
            return None
        return self.kind, self.workspace, next(iter(self.names))

    def at(self, origin: Origin) -> Draft:
        """The same draft, read elsewhere."""
        return replace(self, origin=origin)

    def locate(self, path: Path) -> Position:
        """The position of the value at a path in `values`."""
        return self.origin.locate(as_written(path, self.written))

    def find(self, pattern: Pattern) -> Iterator[tuple[Path, Any]]:
        """The values at all paths of a pattern; where one leads to nothing, there are fewer."""
        return _find(self.values, pattern, ())

    def may_declare(self, kind: str, workspace: str | None, name: str) -> bool:
        """Whether this may be the manifest of that kind, workspace and name, before it broke."""
        if self.kind not in (None, kind) or (self.names is not None and name not in self.names):
            return False
        if kind in FLEET_KINDS:
            return self.concerned is None or self.concerned >= EVERYTHING
        owner = name if kind == "Workspace" else workspace
        return self.concerned is not None and (self.concerned >= EVERYTHING or owner in self.concerned)


def _find(value: Any, pattern: Pattern, path: Path) -> Iterator[tuple[Path, Any]]:
    if not pattern:
        yield path, value
        return
    step, rest = pattern[0], pattern[1:]
    if step is None:
        for index, each in enumerate(value if isinstance(value, tuple) else ()):
            yield from _find(each, rest, (*path, index))
    elif isinstance(value, Mapping) and step in value:
        yield from _find(value[step], rest, (*path, step))
