"""Entries: documents in their files, and what is wrong with the files that they refer to."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from xds_server.policy.attachment import Reference, attachment_faults, draft_references, references
from xds_server.policy.diagnostic import Diagnostic, Position
from xds_server.policy.draft import Draft
from xds_server.policy.kinds import Manifest
from xds_server.policy.origin import Origin
from xds_server.policy.piece import Document


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


def place(file: str, line: int, piece: str, document: Document) -> Entry:
    """The entry of a document in a piece of a file that begins at this line."""
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


def _diagnostics(document: Document, file: str, line: int) -> Iterator[Diagnostic]:
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


@dataclass(frozen=True, slots=True)
class AttachmentFault:
    """What is wrong with a file that a document refers to."""

    entry: Entry
    diagnostic: Diagnostic


def find_faults(entries: Iterable[Entry], attachments: Mapping[str, bytes]) -> Iterator[AttachmentFault]:
    """What is wrong with the files that these entries refer to."""
    for entry in entries:
        subject = entry.manifest or entry.draft
        if subject is None:
            continue
        for fault in attachment_faults(subject.origin.file, entry.references, attachments):
            diagnostic = Diagnostic(
                fault.code,
                fault.severity,
                subject.locate(fault.path),
                subject.title,
                fault.message,
                fault.hint,
                subject.concerned,
            )
            yield AttachmentFault(entry, diagnostic)
