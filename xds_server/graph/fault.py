"""Diagnostics of the graph: what is wrong between manifests that are each right on their own."""

from __future__ import annotations

from collections.abc import Iterable

from xds_server.policy import Diagnostic, Manifest, Severity, Workspace, closest


def fault(
    manifest: Manifest,
    code: str,
    path: tuple[str | int, ...],
    message: str,
    hint: str | None = None,
    *,
    severity: Severity = Severity.ERROR,
) -> Diagnostic:
    """A diagnostic at a value of a manifest, on the account of the workspace (or the fleet) that it belongs to."""
    owner = manifest.name if isinstance(manifest, Workspace) else manifest.workspace
    return Diagnostic(
        code=code,
        severity=severity,
        position=manifest.origin.locate(path),
        object=manifest.title,
        message=message,
        hint=hint,
        workspaces=None if owner is None else frozenset({owner}),
    )


def suggest(name: str, known: Iterable[str], remedy: str) -> str:
    """The hint for a name that refers to nothing: the name that was meant, or what to do."""
    close = closest(name, known)
    return f"did you mean `{close}`?" if close else remedy
