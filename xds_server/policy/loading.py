"""Load: the texts of a policy set turned into manifests and diagnostics."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from xds_server.policy.across import clashes, repeats, unique
from xds_server.policy.attachment import Reference, attachment_faults, jwks_text, resolved
from xds_server.policy.cache import Entry, File, LoadCache
from xds_server.policy.diagnostic import EVERYTHING, Diagnostic, Position, Severity
from xds_server.policy.draft import Draft
from xds_server.policy.kinds import Manifest
from xds_server.policy.kinds.issuer import Issuer


@dataclass(frozen=True, slots=True)
class Loaded:
    """A policy set: its manifests in order of file and line, and everything that is wrong with it.

    Manifests with an error are not among `manifests`; of those declared twice, the first is. `broken` holds the
    others, and documents and files that might hold a manifest but cannot be read.
    """

    manifests: tuple[Manifest, ...]
    diagnostics: tuple[Diagnostic, ...]
    attachments: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    broken: tuple[Draft, ...] = field(default=(), repr=False)

    def attachment(self, manifest: Manifest, path: str) -> bytes:
        """The content of a file that a manifest refers to. Raises KeyError where there is no such file."""
        return self.attachments[resolved(manifest.origin.file, path)]

    def jwks(self, issuer: Issuer) -> str | None:
        """An issuer's key set as JSON, or None when it is to be fetched from `spec.jwks.uri`."""
        return jwks_text(issuer, self.attachments)


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
    with _uncollected():
        return _together(cache.refresh(files), attachments, unreadable or {})


def _together(
    files: Iterable[File], attachments: Mapping[str, bytes], unreadable: Mapping[str, str]
) -> Loaded:
    manifests: list[Manifest] = []
    keys: list[str] = []
    remarkable: list[Entry] = []
    for file in files:
        manifests += file.manifests
        keys += file.keys
        remarkable += file.remarkable
    diagnostics = [_unreadable(file, why) for file, why in unreadable.items()]
    broken = [Draft(each.object, names=None) for each in diagnostics if each.is_error]
    drafts = [entry.draft for entry in remarkable if entry.draft is not None]
    named = {"/".join(map(str, draft.key)) for draft in drafts if draft.key is not None}
    diagnostics += repeats(
        (each for each, key in zip(manifests, keys, strict=True) if key in named) if named else (), drafts
    )
    broken += drafts
    if len(set(keys)) < len(keys):
        every = manifests
        manifests, repeated = unique(every)
        diagnostics += repeated
        first = set(map(id, manifests))
        broken += [Draft.of(manifest) for manifest in every if id(manifest) not in first]
    bad = set()
    for entry in remarkable:
        diagnostics += entry.diagnostics
        subject = entry.manifest or entry.draft
        if subject is not None and entry.references:
            found = _attached(subject, entry.references, attachments)
            diagnostics += found
            bad |= {entry.manifest.key} if found and entry.manifest is not None else set()
    diagnostics += clashes(
        each for entry in remarkable if (each := entry.manifest or entry.draft) is not None
    )
    broken += [Draft.of(manifest) for manifest in manifests if manifest.key in bad] if bad else []
    kept = [manifest for manifest in manifests if manifest.key not in bad] if bad else manifests
    return Loaded(tuple(kept), tuple(sorted(diagnostics)), attachments, tuple(broken))


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


def _attached(
    subject: Manifest | Draft, found: tuple[Reference, ...], attachments: Mapping[str, bytes]
) -> list[Diagnostic]:
    return [
        Diagnostic(
            fault.code,
            fault.severity,
            subject.locate(fault.path),
            subject.title,
            fault.message,
            fault.hint,
            subject.concerned,
        )
        for fault in attachment_faults(subject.origin.file, found, attachments)
    ]


def _unreadable(file: str, why: str) -> Diagnostic:
    """A file that might have held any manifest, unless its name says that it holds none."""
    no_manifest = file.endswith((".jwks", ".pem", ".crt", ".key"))
    severity = Severity.WARNING if no_manifest else Severity.ERROR
    return Diagnostic("unreadable", severity, Position(file, 1, 1), "file", why, None, EVERYTHING)
