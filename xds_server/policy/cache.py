"""The cache: what one load leaves for the next, so that only changed texts are read again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from xds_server.policy.diagnostic import EVERYTHING, Diagnostic, Position, Severity
from xds_server.policy.entry import AttachmentFault, Entry, find_faults, place
from xds_server.policy.kinds import FLEET_KINDS, Manifest
from xds_server.policy.piece import read_piece
from xds_server.policy.reading.document import normal, split
from xds_server.policy.roster import Register
from xds_server.policy.unread import Known, unread
from xds_server.shards import EMPTY, Shards


@dataclass(frozen=True, slots=True)
class File:
    """A file as last read: its entries by the line at which their text begins, and the text, if all of it is known.

    `manifests`, the `remarkable` entries and those that are `referring` to other files say parts of the same once
    more, for whoever needs just these.
    """

    text: str | None
    pieces: dict[tuple[int, str], tuple[Entry, ...]]
    manifests: tuple[Manifest, ...] = ()
    remarkable: tuple[Entry, ...] = ()
    referring: tuple[Entry, ...] = ()

    @classmethod
    def of(cls, text: str | None, pieces: dict[tuple[int, str], tuple[Entry, ...]]) -> File:
        """A file of these entries."""
        entries = [entry for each in pieces.values() for entry in each]
        return cls(
            text,
            pieces,
            tuple(entry.manifest for entry in entries if entry.manifest is not None),
            tuple(
                entry
                for entry in entries
                if entry.diagnostics or entry.draft or getattr(entry.manifest, "kind", "") in FLEET_KINDS
            ),
            tuple(entry for entry in entries if entry.references),
        )


class LoadCache:
    """What one load leaves for the next: the files as last read, and what they declare. One cache belongs to one
    policy set.
    """

    def __init__(self) -> None:
        self.files: dict[str, File] = {}
        self.register = Register()
        self.remarkable: dict[str, tuple[Entry, ...]] = {}
        """Of the files that have some: entries that every load has something to say about."""
        self.faults: dict[str, tuple[AttachmentFault, ...]] = {}
        """Of the files that have some: what is wrong with the files that they refer to."""
        self._texts: Shards[str] = EMPTY
        self._attachments: Mapping[str, bytes] = {}
        self._referring: dict[str, tuple[Entry, ...]] = {}
        self._recalled: dict[str, File] = {}
        self._warm = False

    def refresh(self, texts: Shards[str], attachments: Mapping[str, bytes]) -> None:
        """Follow these texts and attachments; what is the same stays the same objects, and costs nothing."""
        changed, gone = texts.since(self._texts)
        names, now_there = sorted(changed | gone), dict(texts.pick(changed))
        read = {name: self._read(name, now_there[name]) for name in names if name in now_there}
        moved = attachments is not self._attachments and attachments != self._attachments
        dropped: list[Manifest] = []
        added: list[Manifest] = []
        for name in names:
            before, now = self.files.pop(name, _NO_FILE), read.get(name, _NO_FILE)
            if before is _NO_FILE:
                added += now.manifests
            else:
                stay = set(map(id, before.manifests)) & set(map(id, now.manifests))
                dropped += [each for each in before.manifests if id(each) not in stay]
                added += [each for each in now.manifests if id(each) not in stay]
            self._note(name, now)
        self.files |= read
        self.register.replace(dropped, added)
        self._check(changed | gone | (self._referring.keys() if moved else set()), attachments)
        self._texts, self._attachments = texts, attachments
        self._recalled, self._warm = {}, True

    def _note(self, name: str, file: File) -> None:
        for notes, entries in ((self.remarkable, file.remarkable), (self._referring, file.referring)):
            if entries:
                notes[name] = entries
            else:
                notes.pop(name, None)

    def _check(self, names: Iterable[str], attachments: Mapping[str, bytes]) -> None:
        for name in names:
            found = tuple(find_faults(self._referring.get(name, ()), attachments))
            if found:
                self.faults[name] = found
            else:
                self.faults.pop(name, None)

    def recall(self, others: Iterable[LoadCache], *, warm: bool) -> None:
        """Know what other caches have read, as if this one had read it last; to be called before the first load.

        With `warm`, that is all there was: a file that is empty now and in none of them concerns nobody.
        """
        pieces: dict[str, dict[tuple[int, str], tuple[Entry, ...]]] = {}
        for other in others:
            for name, file in other.files.items():
                pieces.setdefault(name, {}).update(file.pieces)
        self._recalled = {name: File.of(None, found) for name, found in pieces.items()}
        self._warm = warm

    def foreknow(self, texts: Shards[str], known: Mapping[str, tuple[Known, ...]]) -> None:
        """Know of workloads in these texts without reading them; to be called before the first load, of these texts.

        They were read by a process before this one, which found nothing wrong with them.
        """
        self._recalled = {name: _foreknown(name, texts[name], found) for name, found in known.items()}
        self._warm = True

    def _read(self, name: str, text: str) -> File:
        last = self.files.get(name) or self._recalled.get(name)
        if last is not None and last.text == text:
            return last
        if not text.strip("\ufeff \t\r\n"):
            return File.of(text, {(1, ""): (_empty(name, last, self._warm),)})
        known = last.pieces if last is not None else {}
        elsewhere = {piece: line for line, piece in known}
        pieces: dict[tuple[int, str], tuple[Entry, ...]] = {}
        for line, piece in split(normal(text)):
            if (line, piece) in known:
                pieces[line, piece] = known[line, piece]
            elif piece in elsewhere:
                before = elsewhere[piece]
                pieces[line, piece] = tuple(entry.moved(line - before) for entry in known[before, piece])
            else:
                pieces[line, piece] = tuple(place(name, line, piece, each) for each in read_piece(piece))
        if not any(pieces.values()):
            emptied = last is not None and _holders(last) != frozenset()
            pieces[1, ""] = (_empty(name, last, self._warm) if emptied else _without_manifest(name),)
        return File.of(text, pieces)


_NO_FILE = File(None, {})


def _foreknown(name: str, text: str, known: tuple[Known, ...]) -> File:
    """A file as if it had been read, as far as it is known what stands in it."""
    plain = normal(text)
    pieces = dict(split(plain)) if "---" in plain else {1: plain}
    entries: dict[tuple[int, str], tuple[Entry, ...]] = {}
    manifests = []
    for each in known:
        piece = pieces[each.first]
        manifest = unread(name, piece, each)
        manifests.append(manifest)
        entries[each.first, piece] = (Entry(manifest, (), ()),)
    return File(text if len(entries) == len(pieces) else None, entries, tuple(manifests))


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
