"""Across: what can only be seen from all manifests together, without following references."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from xds_server.policy.catalogue import BUILT_IN_LOCATIONS
from xds_server.policy.diagnostic import Diagnostic, Severity
from xds_server.policy.draft import Draft
from xds_server.policy.kinds import Manifest
from xds_server.policy.kinds.gateway import Gateway
from xds_server.policy.kinds.issuer import Issuer
from xds_server.policy.kinds.location import Location
from xds_server.policy.kinds.policy_source import PolicySource
from xds_server.policy.reading.fault import Path


def unique(manifests: Iterable[Manifest]) -> tuple[list[Manifest], list[Diagnostic]]:
    """The manifests whose kind, workspace and name did not come before, and diagnostics for the others."""
    first: dict[tuple[str, str | None, str], Manifest] = {}
    kept: list[Manifest] = []
    diagnostics: list[Diagnostic] = []
    for manifest in manifests:
        earlier = first.setdefault(manifest.key, manifest)
        if earlier is manifest:
            kept.append(manifest)
        else:
            message = f"is already declared at {earlier.origin}"
            diagnostics.append(_clash("duplicate-name", manifest, ("metadata", "name"), message))
    return kept, diagnostics


def repeats(manifests: Iterable[Manifest], drafts: Iterable[Draft]) -> Iterator[Diagnostic]:
    """Diagnostics for what a draft declares and another draft, or a manifest, declares too; at the later one."""
    first: dict[tuple[str, str | None, str], Manifest | Draft] = {}
    every: list[Manifest | Draft] = [*manifests, *(draft for draft in drafts if draft.key is not None)]
    for subject in sorted(every, key=lambda each: (each.origin.file, each.origin.line)):
        key = subject.key
        earlier = first.setdefault(key, subject) if key is not None else subject
        if earlier is not subject and (isinstance(earlier, Draft) or isinstance(subject, Draft)):
            message = f"is already declared at {earlier.origin}"
            yield _clash("duplicate-name", subject, ("metadata", "name"), message)


def clashes(subjects: Iterable[Manifest | Draft]) -> Iterator[Diagnostic]:
    """What goes by different names and claims the same thing: a region, the tokens of an issuer, a publication."""
    those = list(subjects)
    regions = [(subject, region) for subject in those if (region := _region(subject)) is not None]
    yield from _twice(regions, ("spec", "region"), "duplicate-region", "the region")
    tokens = [(subject, issuer) for subject in those if (issuer := _issuer(subject)) is not None]
    yield from _twice(tokens, ("spec", "issuer"), "duplicate-issuer", "the issuer")
    nodes = [(subject, claim) for subject in those for claim in claim_nodes(subject)]
    yield from _twice(nodes, ("spec", "nodes"), "duplicate-nodes", "the claim to nodes with")
    sources = [(subject, url) for subject in those if (url := _url(subject)) is not None]
    yield from _twice(sources, ("spec", "url"), "duplicate-source", "the URL")
    first = {region: location for location, region in reversed(regions)}
    for region, location in first.items():
        if region in BUILT_IN_LOCATIONS and location.key != ("Location", None, region):
            message = f"the region `{region}` is already that of a built-in Location"
            hint = f"name this Location `{region}` to replace it"
            yield _clash("duplicate-region", location, ("spec", "region"), message, hint)


def _region(subject: Manifest | Draft) -> str | None:
    if isinstance(subject, Location):
        return subject.region
    return _word(subject, "Location", ("spec", "region"))


def _issuer(subject: Manifest | Draft) -> str | None:
    if isinstance(subject, Issuer):
        return subject.spec.issuer
    return _word(subject, "Issuer", ("spec", "issuer"))


def _url(subject: Manifest | Draft) -> str | None:
    if isinstance(subject, PolicySource):
        return subject.spec.url
    return _word(subject, "PolicySource", ("spec", "url"))


def claim_nodes(subject: Manifest | Draft) -> list[str]:
    """The claims of a gateway to nodes, in words: each way in which a node may be its own."""
    if not isinstance(subject, Gateway):
        return []
    nodes = subject.spec.nodes
    if nodes is None:
        return [f"cluster {subject.name}"]
    metadata = [f"{key}={value} in its metadata" for key, value in sorted(nodes.metadata.items())]
    ids = [f"id {each}" for each in nodes.ids] or [""]
    clusters = [f"cluster {each}" for each in nodes.clusters] or [""]
    return [", ".join(filter(None, (node, cluster, *metadata))) for node in ids for cluster in clusters]


def _word(subject: Manifest | Draft, kind: str, path: tuple[str, ...]) -> str | None:
    """A value of a draft of that kind, if it is a word."""
    if not isinstance(subject, Draft) or subject.kind != kind:
        return None
    return next((value for _, value in subject.find(path) if isinstance(value, str) and value), None)


def _twice(
    claims: Sequence[tuple[Manifest | Draft, str]], path: Path, code: str, what: str
) -> Iterator[Diagnostic]:
    first: dict[str, Manifest | Draft] = {}
    for subject, claim in claims:
        earlier = first.setdefault(claim, subject)
        if earlier is not subject and (subject.key is None or earlier.key != subject.key):
            message = f"{what} `{claim}` is already that of {earlier.title} at {earlier.origin}"
            yield _clash(code, subject, path, message)


def _clash(
    code: str, subject: Manifest | Draft, path: Path, message: str, hint: str | None = None
) -> Diagnostic:
    position = subject.locate(path)
    return Diagnostic(code, Severity.ERROR, position, subject.title, message, hint, subject.concerned)
