"""Load: the texts of a policy set turned into manifests and diagnostics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from xds_server.policy.across import clashes, unique
from xds_server.policy.attachment import Reference, attachment_faults, jwks_text, references, resolved
from xds_server.policy.diagnostic import EVERYTHING, Diagnostic, Position, Severity
from xds_server.policy.kinds import Manifest
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
    """A document in its file: read once, used by every load for as long as neither text nor line changes."""

    manifest: Manifest | None
    references: tuple[Reference, ...]
    diagnostics: tuple[Diagnostic, ...]


@dataclass(frozen=True, slots=True)
class _File:
    text: str
    entries: dict[tuple[int, str], tuple[_Entry, ...]]


@dataclass(slots=True)
class LoadCache:
    """What one load leaves for the next: the files as last read. One cache belongs to one policy set."""

    files: dict[str, _File] = field(default_factory=dict)
    pieces: dict[str, tuple[Document, ...]] = field(default_factory=dict)


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
    read = {file: _file(file, files[file], cache) for file in sorted(files)}
    cache.files = read
    _forget(cache)
    entries = [entry for file in read.values() for each in file.entries.values() for entry in each]
    diagnostics = [diagnostic for entry in entries for diagnostic in entry.diagnostics]
    diagnostics += [_unreadable(file, why) for file, why in (unreadable or {}).items()]
    manifests, repeated = unique(entry.manifest for entry in entries if entry.manifest is not None)
    diagnostics += repeated
    diagnostics += clashes(manifests)
    bad = set()
    for entry in entries:
        if entry.references and entry.manifest is not None:
            found = _attached(entry.manifest, entry.references, attachments)
            diagnostics += found
            bad |= {entry.manifest.key} if found else set()
    return Loaded(
        tuple(manifest for manifest in manifests if manifest.key not in bad) if bad else tuple(manifests),
        tuple(sorted(diagnostics)),
        attachments,
    )


def _file(file: str, text: str, cache: LoadCache) -> _File:
    last = cache.files.get(file)
    if last is not None and last.text == text:
        return last
    entries = {}
    for line, piece in split(_normal(text)):
        known = last.entries.get((line, piece)) if last is not None else None
        entries[line, piece] = known if known is not None else _entries(file, line, piece, cache)
    return _File(text, entries)


def _entries(file: str, line: int, piece: str, cache: LoadCache) -> tuple[_Entry, ...]:
    documents = cache.pieces.get(piece)
    if documents is None:
        documents = cache.pieces[piece] = read_piece(piece)
    entries = []
    for document in documents:
        origin = Origin(file, line + document.line, piece, line, document.index)
        manifest = document.manifest.at(origin) if document.manifest is not None else None
        found = references(manifest) if manifest is not None else ()
        entries.append(_Entry(manifest, found, tuple(_diagnostics(document, file, line))))
    return tuple(entries)


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
    position = Position(file, 1, 1)
    return Diagnostic("unreadable", Severity.ERROR, position, "file", why, None, EVERYTHING)


def _normal(text: str) -> str:
    """The text without a byte order mark, and with one kind of line end."""
    text = text.removeprefix("\ufeff")
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _forget(cache: LoadCache) -> None:
    """Let go of the pieces that no file holds any more."""
    if len(cache.pieces) > 2 * sum(len(file.entries) for file in cache.files.values()) + 64:
        held = {piece for file in cache.files.values() for _, piece in file.entries}
        cache.pieces = {piece: cache.pieces[piece] for piece in held if piece in cache.pieces}
