"""Across: what can only be seen from all manifests together, without following references."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from xds_server.policy.catalogue import BUILT_IN_LOCATIONS
from xds_server.policy.diagnostic import Diagnostic, Severity
from xds_server.policy.kinds import Manifest
from xds_server.policy.kinds.issuer import Issuer
from xds_server.policy.kinds.location import Location
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


def clashes(manifests: Iterable[Manifest]) -> Iterator[Diagnostic]:
    """Manifests of different names that claim the same thing: a region, or the tokens of an issuer."""
    those = list(manifests)
    locations = [manifest for manifest in those if isinstance(manifest, Location)]
    issuers = [manifest for manifest in those if isinstance(manifest, Issuer)]
    regions = [(location, location.region) for location in locations]
    yield from _twice(regions, ("spec", "region"), "duplicate-region", "the region")
    tokens = [(issuer, issuer.spec.issuer) for issuer in issuers]
    yield from _twice(tokens, ("spec", "issuer"), "duplicate-issuer", "the issuer")
    for location, region in regions:
        if region in BUILT_IN_LOCATIONS and region != location.name:
            message = f"the region `{region}` is already that of a built-in Location"
            hint = f"name this Location `{region}` to replace it"
            yield _clash("duplicate-region", location, ("spec", "region"), message, hint)


def _twice(claims: Sequence[tuple[Manifest, str]], path: Path, code: str, what: str) -> Iterator[Diagnostic]:
    first: dict[str, Manifest] = {}
    for manifest, claim in claims:
        earlier = first.setdefault(claim, manifest)
        if earlier is not manifest:
            message = f"{what} `{claim}` is already that of {earlier.title} at {earlier.origin}"
            yield _clash(code, manifest, path, message)


def _clash(code: str, manifest: Manifest, path: Path, message: str, hint: str | None = None) -> Diagnostic:
    return Diagnostic(
        code, Severity.ERROR, manifest.locate(path), manifest.title, message, hint, manifest.concerned
    )
