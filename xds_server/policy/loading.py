"""Load: the texts of a policy set turned into manifests and diagnostics."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from posixpath import basename, dirname

from xds_server.collection import uncollected
from xds_server.policy.across import clashes, repeats, unique
from xds_server.policy.attachment import jwks_text, resolved
from xds_server.policy.cache import LoadCache
from xds_server.policy.diagnostic import EVERYTHING, Diagnostic, Position, Severity
from xds_server.policy.draft import Draft
from xds_server.policy.kinds import Manifest
from xds_server.policy.kinds.issuer import Issuer
from xds_server.policy.kinds.policy_source import PolicySource
from xds_server.policy.publication import Publication, read_publication
from xds_server.policy.roster import FLEET, Roster, ordered
from xds_server.shards import Shards


@dataclass(frozen=True)
class Loaded:
    """A policy set: its manifests by owner, and everything that is wrong with it.

    Manifests with an error are not among them; of those declared twice, the first is. `broken` holds the others, and
    documents and files that might hold a manifest but cannot be read.
    """

    rosters: Shards[Roster]
    """By workspace; under `FLEET` what belongs to none. Of an owner that did not change, the same object as before."""
    diagnostics: tuple[Diagnostic, ...] = ()
    attachments: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    broken: tuple[Draft, ...] = field(default=(), repr=False)
    unfetched: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By URL, why nothing that is published there could be had so far."""

    @cached_property
    def manifests(self) -> tuple[Manifest, ...]:
        """All of them, by file and line."""
        return tuple(ordered(each for roster in self.rosters.values() for each in roster))

    @cached_property
    def files(self) -> Mapping[str, bytes]:
        """The attachments that are files of the policy folder: without what policy sources publish."""
        published = {each.spec.url for each in self.fleet.list(PolicySource)}
        if not any(url in self.attachments for url in published):
            return self.attachments
        return {name: held for name, held in self.attachments.items() if name not in published}

    @property
    def fleet(self) -> Roster:
        """What belongs to no workspace."""
        return self.rosters.get(FLEET, Roster())

    def attachment(self, manifest: Manifest, path: str) -> bytes:
        """The content of a file that a manifest refers to. Raises KeyError where there is no such file."""
        return self.attachments[resolved(manifest.origin.file, path)]

    def publication(self, source: PolicySource) -> Publication | None:
        """What a source publishes, as far as that was fetched."""
        content = self.attachments.get(source.spec.url)
        return None if content is None else read_publication(source.spec.url, content)

    def jwks(self, issuer: Issuer) -> str | None:
        """An issuer's key set as JSON, or None when it is to be fetched from `spec.jwks.uri`."""
        return jwks_text(issuer, self.attachments)


def load(
    files: Mapping[str, str],
    attachments: Mapping[str, bytes],
    cache: LoadCache | None = None,
    unreadable: Mapping[str, str] | None = None,
    unfetched: Mapping[str, str] | None = None,
) -> Loaded:
    """Read a policy set, and say everything that is wrong with it at once. Raises nothing for what it holds.

    `files` maps each file's name, as shown to people, to its text; bytes that are not UTF-8 stand in it as
    surrogates (`surrogateescape`). `attachments` holds the other files of the folder under names of the same
    style. `unreadable` holds the files that could not be read at all, and why. With a `cache`, only changed
    texts are read again, and the manifests of unchanged ones are the same objects as before; with `Shards` for
    `files`, nothing else is even looked at.
    What policy sources publish is among the attachments under its URL; `unfetched` says by URL why it is not.
    """
    cache = cache if cache is not None else LoadCache()
    texts = files if isinstance(files, Shards) else Shards(files)
    with uncollected():
        cache.refresh(texts, attachments)
        return replace(_together(cache, attachments, unreadable or {}), unfetched=unfetched or {})


def _together(cache: LoadCache, attachments: Mapping[str, bytes], unreadable: Mapping[str, str]) -> Loaded:
    register = cache.register
    remarkable = [entry for _, entries in sorted(cache.remarkable.items()) for entry in entries]
    diagnostics = [_unreadable(file, why) for file, why in unreadable.items()]
    broken = [Draft(each.object, names=None) for each in diagnostics if each.is_error]
    drafts = [entry.draft for entry in remarkable if entry.draft is not None]
    named = sorted({draft.key for draft in drafts if draft.key is not None}, key=str)
    diagnostics += repeats((each for key in named for each in register.find(key)), drafts)
    broken += drafts
    kept, repeated = unique(register.repeated())
    diagnostics += repeated
    first = set(map(id, kept))
    broken += [Draft.of(manifest) for manifest in register.repeated() if id(manifest) not in first]
    for entry in remarkable:
        diagnostics += entry.diagnostics
    faults = [fault for _, each in sorted(cache.faults.items()) for fault in each]
    diagnostics += [fault.diagnostic for fault in faults]
    diagnostics += clashes(
        each for entry in remarkable if (each := entry.manifest or entry.draft) is not None
    )
    bad = {fault.entry.manifest.key for fault in faults if fault.entry.manifest is not None}
    unusable = [manifest for key in bad if (manifest := next(iter(register.find(key)), None)) is not None]
    broken += [Draft.of(manifest) for manifest in ordered(unusable)]
    rosters = register.without(bad) if bad else register.rosters
    return Loaded(rosters, tuple(sorted(diagnostics)), attachments, tuple(broken))


def _unreadable(file: str, why: str) -> Diagnostic:
    """A file that might have held any manifest, unless its name says that it holds none."""
    no_manifest = file.endswith((".jwks", ".pem", ".crt", ".key")) or basename(dirname(file)) == "secrets"
    severity = Severity.WARNING if no_manifest else Severity.ERROR
    return Diagnostic("unreadable", severity, Position(file, 1, 1), "file", why, None, EVERYTHING)
