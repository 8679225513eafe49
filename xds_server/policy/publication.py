"""Publications: the document of a policy source, read into policies that belong to no workspace."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from xds_server.policy.diagnostic import Diagnostic, Position, Severity
from xds_server.policy.entry import Entry, place
from xds_server.policy.kinds import Manifest
from xds_server.policy.kinds.policy_source import PublishedPolicy
from xds_server.policy.piece import read_piece
from xds_server.policy.reading.document import normal, split

LARGEST_PUBLICATION: Final = 2**20
"""Bytes: some nine thousand policies."""

_KINDS: Final[Mapping[str, type[Manifest]]] = {PublishedPolicy.kind: PublishedPolicy}
_NOBODY: Final[frozenset[str]] = frozenset()
"""Whom a mistake in a publication breaks: what was published before stays in use."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What a document publishes: its policies by name, and all that is wrong with it. Compared by its bytes.

    It is to be used as a whole or, with an error among the diagnostics, not at all.
    """

    digest: str
    policies: Mapping[str, PublishedPolicy] = field(compare=False, repr=False)
    diagnostics: tuple[Diagnostic, ...] = field(compare=False, repr=False)

    @property
    def error(self) -> Diagnostic | None:
        """The first mistake because of which it is not to be used."""
        return next((each for each in self.diagnostics if each.is_error), None)


_MOST_URLS: Final = 256
_known: dict[str, tuple[tuple[bytes, Publication], ...]] = {}
"""By URL, its last two documents as they were read: what is published, and what is kept beside it."""


def read_publication(url: str, content: bytes) -> Publication:
    """Read a document that was fetched from `url`, the name under which its places are told.

    Policies only, none twice, and at least one: a document without any is most likely half written. Raises nothing
    for what it holds.
    """
    known = _known.get(url, ())
    found = next((read for held, read in known if held == content), None)
    if found is None:
        found = _read(url, content)
        _known[url] = ((content, found), *known[:1])
        for oldest in list(_known)[:-_MOST_URLS]:
            _known.pop(oldest, None)
    return found


def _read(url: str, content: bytes) -> Publication:
    digest = hashlib.blake2b(content, digest_size=16).hexdigest()
    text = normal(content.decode("utf-8", "surrogateescape"))
    policies: dict[str, PublishedPolicy] = {}
    found: list[Diagnostic] = []
    for entry in _entries(url, text):
        found += (_tell(each) for each in entry.diagnostics)
        policy = entry.manifest
        if not isinstance(policy, PublishedPolicy):
            continue
        earlier = policies.setdefault(policy.name, policy)
        if earlier is not policy:
            found.append(_repeated(policy, earlier))
    if not policies and not found:
        words, hint = (
            "it publishes no policy",
            "a source that has no more to say is taken away where it is attached",
        )
        found.append(
            Diagnostic("empty-file", Severity.ERROR, Position(url, 1, 1), "publication", words, hint, _NOBODY)
        )
    return Publication(digest, policies, tuple(sorted(found)))


def _entries(url: str, text: str) -> Iterator[Entry]:
    for line, piece in split(text):
        yield from (place(url, line, piece, each) for each in read_piece(piece, _KINDS))


def _tell(found: Diagnostic) -> Diagnostic:
    hint = found.hint
    if found.code == "unknown-key" and "`workspace`" in found.message:
        hint = "a published policy belongs to no workspace: leave it out"
    return replace(found, workspaces=_NOBODY, hint=hint)


def _repeated(policy: PublishedPolicy, earlier: PublishedPolicy) -> Diagnostic:
    position = policy.locate(("metadata", "name"))
    message = f"is already declared at {earlier.origin}"
    return Diagnostic("duplicate-name", Severity.ERROR, position, policy.title, message, None, _NOBODY)
