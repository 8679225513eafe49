"""Load: the texts of a policy set turned into manifests and diagnostics."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from xds_server.policy.across import clashes, unique
from xds_server.policy.attachment import Reference, attachment_faults, jwks_text, references, resolved
from xds_server.policy.diagnostic import EVERYTHING, Diagnostic, Position, Severity
from xds_server.policy.kinds import FLEET_KINDS, Manifest
from xds_server.policy.kinds.issuer import Issuer
from xds_server.policy.origin import Origin
from xds_server.policy.piece import Document, read_piece
from xds_server.policy.reading.document import split


@dataclass(frozen=True, slots=True)
class Loaded:
    """A policy set: its manifests in order of file and line, and everything that is wrong with it.

    Manifests with an error are not among `manifests`; of those declared twice, the first is.
    """

    manifests: tuple[Manifest, ...]
    diagnostics: tuple[Diagnostic, ...]
    attachments: Mapping[str, bytes] = field(default_factory=dict, repr=False)

    def attachment(self, manifest: Manifest, path: str) -> bytes:
        """The content of a file that a manifest refers to. Raises KeyError where there is no such file."""
        return self.attachments[resolved(manifest.origin.file, path)]

    def jwks(self, issuer: Issuer) -> str | None:
        """An issuer's key set as JSON, or None when it is to be fetched from `spec.jwks.uri`."""
        return jwks_text(issuer, self.attachments)


@dataclass(frozen=True, slots=True)
class _Entry:
    """A document in its file: read once, used by every load for as long as its text does not change."""

    manifest: Manifest | None
    references: tuple[Reference, ...]
    diagnostics: tuple[Diagnostic, ...]

    def moved(self, lines: int) -> _Entry:
        """The same document, so many lines further down."""
        manifest = self.manifest
        if manifest is not None:
            origin = manifest.origin
            moved = replace(origin, line=origin.line + lines, first=origin.first + lines)
            manifest = manifest.at(moved)
        diagnostics = tuple(
            replace(each, position=each.position._replace(line=each.position.line + lines))
            for each in self.diagnostics
        )
        return _Entry(manifest, self.references, diagnostics)


@dataclass(frozen=True, slots=True)
class _File:
    """A file as last read: its entries by the line at which their text begins, and the text.

    `manifests`, their `keys` and the `remarkable` entries, which need a look at every load, say the same
    once more: a load must not cost more than a glance at each file that has not changed.
    """

    text: str
    pieces: dict[tuple[int, str], tuple[_Entry, ...]]
    manifests: tuple[Manifest, ...] = ()
    keys: tuple[str, ...] = ()
    remarkable: tuple[_Entry, ...] = ()

    @classmethod
    def of(cls, text: str, pieces: dict[tuple[int, str], tuple[_Entry, ...]]) -> _File:
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

    files: dict[str, _File] = field(default_factory=dict)
    warm: bool = False


def load(
    files: Mapping[str, str],
    attachments: Mapping[str, bytes],
    cache: LoadCache | None = None,
    unreadable: Mapping[str, str] | None = None,
) -> Loaded:
    """Read a policy set, and say everything that is wrong with it at once. Raises nothing for what it holds.

    `files` maps each file's name, as shown to people, to its text; bytes that are not UTF-8 stand in it as
    surrogates (`surrogateescape`). `attachments` holds the other files of the folder under names of the same
    style. `unreadable` holds the files that could not be read at all, and why. With a `cache`, only changed
    texts are read again, and the manifests of unchanged ones are the same objects as before.
    """
    cache = cache if cache is not None else LoadCache()
    last = cache.files
    with _uncollected():
        cache.files = {
            file: known if (known := last.get(file)) and known.text == text else _file(file, text, cache)
            for file, text in sorted(files.items())
        }
        cache.warm = True
        return _together(cache.files.values(), attachments, unreadable or {})


def _together(
    files: Iterable[_File], attachments: Mapping[str, bytes], unreadable: Mapping[str, str]
) -> Loaded:
    manifests: list[Manifest] = []
    keys: list[str] = []
    remarkable: list[_Entry] = []
    for file in files:
        manifests += file.manifests
        keys += file.keys
        remarkable += file.remarkable
    diagnostics = [_unreadable(file, why) for file, why in unreadable.items()]
    if len(set(keys)) < len(keys):
        manifests, repeated = unique(manifests)
        diagnostics += repeated
    bad = set()
    for entry in remarkable:
        diagnostics += entry.diagnostics
        if entry.manifest is not None and entry.references:
            found = _attached(entry.manifest, entry.references, attachments)
            diagnostics += found
            bad |= {entry.manifest.key} if found else set()
    diagnostics += clashes(entry.manifest for entry in remarkable if entry.manifest is not None)
    kept = [manifest for manifest in manifests if manifest.key not in bad] if bad else manifests
    return Loaded(tuple(kept), tuple(sorted(diagnostics)), attachments)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without garbage collection: everything made here is kept or freed at once, and searching it for cycles
    again and again takes as long as reading it.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _file(file: str, text: str, cache: LoadCache) -> _File:
    last = cache.files.get(file)
    if not text.strip("\ufeff \t\r\n"):
        return _File.of(text, {(1, ""): (_empty(file, last, cache.warm),)})
    known = last.pieces if last is not None else {}
    elsewhere = {piece: line for line, piece in known}
    pieces: dict[tuple[int, str], tuple[_Entry, ...]] = {}
    for line, piece in split(_normal(text)):
        if (line, piece) in known:
            pieces[line, piece] = known[line, piece]
        elif piece in elsewhere:
            before = elsewhere[piece]
            pieces[line, piece] = tuple(entry.moved(line - before) for entry in known[before, piece])
        else:
            pieces[line, piece] = tuple(_entry(file, line, piece, each) for each in read_piece(piece))
    if not any(pieces.values()):
        pieces[1, ""] = (_without_manifest(file),)
    return _File.of(text, pieces)


def _entry(file: str, line: int, piece: str, document: Document) -> _Entry:
    manifest = document.manifest
    if manifest is not None:
        manifest.stand_at(Origin(file, line + document.line, piece, line, document.index))
    found = references(manifest) if manifest is not None else ()
    return _Entry(manifest, found, tuple(_diagnostics(document, file, line)))


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


def _empty(file: str, last: _File | None, warm: bool) -> _Entry:
    """An empty file is a mistake, and concerns those who had manifests in it: a save may be half done.

    Before the first load nobody knows who had, so it concerns everyone.
    """
    message = "the file is empty"
    hint = "delete it if it is no longer wanted"
    concerned = _holders(last) if last is not None else frozenset()
    if not warm:
        concerned = EVERYTHING
    position = Position(file, 1, 1)
    diagnostic = Diagnostic("empty-file", Severity.ERROR, position, "file", message, hint, concerned)
    return _Entry(None, (), (diagnostic,))


def _holders(file: _File) -> frozenset[str] | None:
    entries = [entry for each in file.pieces.values() for entry in each]
    concerned = [entry.manifest.concerned for entry in entries if entry.manifest is not None]
    concerned += [each.workspaces for entry in entries for each in entry.diagnostics if each.is_error]
    names = frozenset[str]().union(*(each for each in concerned if each is not None))
    if None not in concerned:
        return names
    return EVERYTHING if names else None


def _without_manifest(file: str) -> _Entry:
    position = Position(file, 1, 1)
    message = "the file holds no manifest"
    return _Entry(None, (), (Diagnostic("no-manifest", Severity.WARNING, position, "file", message),))


def _attached(
    manifest: Manifest, found: tuple[Reference, ...], attachments: Mapping[str, bytes]
) -> list[Diagnostic]:
    origin = manifest.origin
    return [
        Diagnostic(
            fault.code,
            fault.severity,
            origin.locate(fault.path),
            manifest.title,
            fault.message,
            fault.hint,
            manifest.concerned,
        )
        for fault in attachment_faults(origin.file, found, attachments)
    ]


def _unreadable(file: str, why: str) -> Diagnostic:
    """A file that might have held any manifest, unless its name says that it holds none."""
    no_manifest = file.endswith((".jwks", ".pem", ".crt", ".key"))
    severity = Severity.WARNING if no_manifest else Severity.ERROR
    return Diagnostic("unreadable", severity, Position(file, 1, 1), "file", why, None, EVERYTHING)


def _normal(text: str) -> str:
    """The text without a byte order mark, and with one kind of line end."""
    text = text.removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text
