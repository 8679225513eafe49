"""Records: what one owner was last good with, as texts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from xds_server.archive.breath import Breath
from xds_server.graph import Ground
from xds_server.policy import Gateway, LoadCache, Loaded, Manifest, attached, load

_NOT_REFERRED_TO: Final = Gateway.kind
"""The one kind of the fleet that workspaces never refer to; and it is the one with private keys."""


@dataclass(frozen=True, slots=True)
class Document:
    """A piece of a policy file: the text of a manifest, and the line of the file at which it begins."""

    file: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Content:
    """Manifests as texts in order of file and line, and the files that they refer to, by name."""

    documents: tuple[Document, ...]
    attachments: Mapping[str, bytes]

    @classmethod
    def of(cls, manifests: Iterable[Manifest], attachments: Mapping[str, bytes], breath: Breath) -> Content:
        """The content of manifests, whose files are among these."""
        texts: dict[tuple[str, int], str] = {}
        files: dict[str, bytes] = {}
        for each in breath.between(manifests):
            texts[each.origin.file, each.origin.first] = each.origin.text
            files.update(attached((each,), attachments))
        ordered = breath.between(sorted(texts.items()))
        documents = tuple(Document(file, line, text) for (file, line), text in ordered)
        return cls(documents, dict(sorted(files.items())))

    def load(self, cache: LoadCache) -> Loaded:
        """Read the manifests again, each at the line where it was."""
        texts: dict[str, list[str]] = {}
        lines: dict[str, int] = {}
        for each in self.documents:
            parts, line = texts.setdefault(each.file, []), lines.get(each.file, 1)
            if line < each.line:
                parts.append("\n" * (each.line - line))
                line = each.line
            text = each.text if each.text.endswith("\n") else f"{each.text}\n"
            if parts and not text.startswith("---"):
                text = f"---\n{text}"
            parts.append(text)
            lines[each.file] = line + text.count("\n")
        return load({file: "".join(parts) for file, parts in texts.items()}, self.attachments, cache)


@dataclass(frozen=True, slots=True)
class Record:
    """What a workspace, or the fleet (`owner` is None), was last good with, and when that began (RFC 3339).

    `fleet` is there for a workspace that stayed as it was while the fleet moved on: the issuers and locations that its
    references led to.
    """

    owner: str | None
    saved: str
    content: Content
    fleet: Content | None = None

    @classmethod
    def of(
        cls, owner: str | None, ground: Ground, fleet: Ground | None, saved: str, breath: Breath
    ) -> Record:
        """The record of a ground, in a graph whose fleet stands on another."""
        content = Content.of(ground.roster, ground.attachments, breath)
        if ground.fleet is None or ground.fleet is fleet:
            return cls(owner, saved, content)
        then = _referred_to(ground.fleet, breath)
        now = _referred_to(fleet, breath) if fleet is not None else None
        return cls(owner, saved, content, None if then == now else then)

    def same(self, other: Record | None) -> bool:
        """Whether both say the same, whenever they were made."""
        return other is not None and replace(self, saved="") == replace(other, saved="")


def _referred_to(fleet: Ground, breath: Breath) -> Content:
    manifests = (each for each in fleet.roster if each.kind != _NOT_REFERRED_TO)
    return Content.of(manifests, fleet.attachments, breath)
