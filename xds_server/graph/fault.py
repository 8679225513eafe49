"""Diagnostics of the graph: what is wrong between manifests that are each right on their own."""

from __future__ import annotations

from collections.abc import Iterable

from xds_server.policy import Diagnostic, Draft, Manifest, Severity, closest


def fault(
    subject: Manifest | Draft,
    code: str,
    path: tuple[str | int, ...],
    message: str,
    hint: str | None = None,
    *,
    severity: Severity = Severity.ERROR,
) -> Diagnostic:
    """A diagnostic at a value of a manifest, on the account of the workspace (or the fleet) that it belongs to."""
    return Diagnostic(
        code=code,
        severity=severity,
        position=subject.locate(path),
        object=subject.title,
        message=message,
        hint=hint,
        workspaces=subject.concerned,
    )


def suggest(name: str, known: Iterable[str], remedy: str) -> str:
    """The hint for a name that refers to nothing: the name that was meant, or what to do."""
    close = closest(name, known)
    return f"did you mean `{close}`?" if close else remedy


def list_some(names: Iterable[str], most: int = 5) -> str:
    """The first of some names in quotes, and how many more there are."""
    every = sorted(names)
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(f"`{each}`" for each in every[:most]) + more
