"""The cache: what one load leaves for the next, so that only changed texts are read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from xds_server.policy.attachment import Reference, draft_references, references
from xds_server.policy.diagnostic import EVERYTHING, Diagnostic, Position, Severity
from xds_server.policy.draft import Draft
from xds_server.policy.kinds import FLEET_KINDS, Manifest
from xds_server.policy.origin import Origin
from xds_server.policy.piece import Document, read_piece
from xds_server.policy.reading.document import split


@dataclass(frozen=True, slots=True)
class Entry:
    """A document in its file: read once, used by every load for as long as its text does not change."""

    manifest: Manifest | None
    references: tuple[Reference, ...]
    diagnostics: tuple[Diagnostic, ...]
    draft: Draft | None = None

    def moved(self, lines: int) -> Entry:
        """The same document, so many lines further down."""
        manifest = self.manifest
        if manifest is not None:
            manifest = manifest.at(manifest.origin.moved(lines))
        draft = self.draft
        if draft is not None:
            draft = draft.at(draft.origin.moved(lines))
        diagnostics = tuple(
            replace(each, position=each.position._replace(line=each.position.line + lines))
            for each in self.diagnostics
        )
        return Entry(manifest, self.references, diagnostics, draft)


@dataclass(frozen=True, slots=True)
class File:
    """A file as last read: its entries by the line at which their text begins, and the text, if all of it is known.

    `manifests`, their `keys` and the `remarkable` entries, which need a look at every load, say the same
    once more: a load must not cost more than a glance at each file that has not changed.
    """

    text: str | None
    pieces: dict[tuple[int, str], tuple[Entry, ...]]
    manifests: tuple[Manifest, ...] = ()
    keys: tuple[str, ...] = ()
    remarkable: tuple[Entry, ...] = ()

    @classmethod
    def of(cls, text: str | None, pieces: dict[tuple[int, str], tuple[Entry, ...]]) -> File:
        """A file of these entries."""
        entries = [entry for each in pieces.values() for entry in each]
        manifests = tuple(entry.manifest for entry in entries if entry.manifest is not None)
        remarkable = tuple(
            entry
            for entry in entries
            if entry.diagnostics or entry.references or getattr(entry.manifest, "kind", "") in FLEET_KINDS
        )
        return cls(
            text, pieces, manifests, tuple("/".join(map(str, each.key)) for each in manifests), remarkable
        )


@dataclass(slots=True)
class LoadCache:
    """What one load leaves for the next: the files as last read. One cache belongs to one policy set."""

    files: dict[str, File] = field(default_factory=dict)
    warm: bool = False

    def refresh(self, texts: Mapping[str, str]) -> Iterable[File]:
        """The files of these texts, by name in order; those whose text is the same are the same objects."""
        last = self.files
        self.files = {
            name: known if (known := last.get(name)) and known.text == text else self._read(name, text)
            for name, text in sorted(texts.items())
        }
        self.warm = True
        return self.files.values()

    def recall(self, others: Iterable[LoadCache], *, warm: bool) -> None:
        """Know what other caches have read, as if this one had read it last.

        With `warm`, that is all there was: a file that is empty now and in none of them concerns nobody.
        """
        pieces: dict[str, dict[tuple[int, str], tuple[Entry, ...]]] = {}
        for other in others:
            for name, file in other.files.items():
                pieces.setdefault(name, {}).update(file.pieces)
        self.files = {name: File.of(None, found) for name, found in pieces.items()}
        self.warm = warm

    def _read(self, name: str, text: str) -> File:
        last = self.files.get(name)
        if not text.strip("\ufeff \t\r\n"):
            return File.of(text, {(1, ""): (_empty(name, last, self.warm),)})
        known = last.pieces if last is not None else {}
        elsewhere = {piece: line for line, piece in known}
        pieces: dict[tuple[int, str], tuple[Entry, ...]] = {}
        for line, piece in split(_normal(text)):
            if (line, piece) in known:
                pieces[line, piece] = known[line, piece]
            elif piece in elsewhere:
                before = elsewhere[piece]
                pieces[line, piece] = tuple(entry.moved(line - before) for entry in known[before, piece])
            else:
                pieces[line, piece] = tuple(_entry(name, line, piece, each) for each in read_piece(piece))
        if not any(pieces.values()):
            emptied = last is not None and _holders(last) != frozenset()
            pieces[1, ""] = (_empty(name, last, self.warm) if emptied else _without_manifest(name),)
        return File.of(text, pieces)


def _entry(file: str, line: int, piece: str, document: Document) -> Entry:
    manifest = document.manifest
    origin = Origin(file, line + document.line, piece, line, document.index)
    if manifest is not None:
        manifest.stand_at(origin)
    draft = document.draft.at(origin) if document.draft is not None else None
    found: tuple[Reference, ...] = ()
    if manifest is not None:
        found = references(manifest)
    elif draft is not None:
        found = draft_references(draft)
    return Entry(manifest, found, tuple(_diagnostics(document, file, line)), draft)


def _diagnostics(document: Document, file: str, line: int) -> Iterable[Diagnostic]:
    for mark, fault in document.faults:
        yield Diagnostic(
            fault.code,
            fault.severity,
            Position(file, line + mark.line, mark.column + 1),
            document.title,
            fault.message,
            fault.hint,
            document.concerned,
        )


def _empty(file: str, last: File | None, warm: bool) -> Entry:
    """A file that is empty, or holds comments only where manifests were, is a mistake: a save may be half done.

    It concerns those who had manifests in it.

    Before the first load nobody knows who had, so it concerns everyone.
    """
    message = "the file is empty" if last is None else "the file holds no manifest any more"
    hint = "delete it if it is no longer wanted"
    concerned = _holders(last) if last is not None else frozenset()
    if not warm:
        concerned = EVERYTHING
    position = Position(file, 1, 1)
    diagnostic = Diagnostic("empty-file", Severity.ERROR, position, "file", message, hint, concerned)
    return Entry(None, (), (diagnostic,))


def _holders(file: File) -> frozenset[str] | None:
    entries = [entry for each in file.pieces.values() for entry in each]
    concerned = [entry.manifest.concerned for entry in entries if entry.manifest is not None]
    concerned += [each.workspaces for entry in entries for each in entry.diagnostics if each.is_error]
    names = frozenset[str]().union(*(each for each in concerned if each is not None))
    if None not in concerned:
        return names
    return EVERYTHING if names else None


def _without_manifest(file: str) -> Entry:
    position = Position(file, 1, 1)
    message = "the file holds no manifest"
    return Entry(None, (), (Diagnostic("no-manifest", Severity.WARNING, position, "file", message),))


def _normal(text: str) -> str:
    """The text without a byte order mark, and with one kind of line end."""
    text = text.removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
