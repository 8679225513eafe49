"""Credentials: headers that cannot carry one, and backends of a revision that differ in what they are shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xds_server.policy.reading.fault import Fault, Path
from xds_server.policy.rules.value import entries, mapping, text

_DEFAULT = "authorization"
_NOT_FOR_CREDENTIALS = frozenset(
    {
        "connection",
        "content-length",
        "content-type",
        "expect",
        "host",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-request-id",
    }
)
_OWN = ("x-fairlead", "x_fairlead", "x-envoy-")


def credential_rules(way: Path, revision: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in the credentials of a revision's backends."""
    backends = entries(revision, "backends")
    shown = [(index, mapping(each, "credentials")) for index, each in backends if "credentials" in each]
    for index, credentials in shown:
        header = text(credentials, "header")
        if header is not None and (
            header.casefold() in _NOT_FOR_CREDENTIALS or header.casefold().startswith(_OWN)
        ):
            path: Path = (*way, "backends", index, "credentials", "header")
            yield Fault(
                "bad-value", path, f"`{header}` cannot carry a credential", "for example `authorization`"
            )
    if shown:
        yield from _differences(way, backends, shown)


def _differences(
    way: Path, backends: list[tuple[int, dict[str, Any]]], shown: list[tuple[int, dict[str, Any]]]
) -> Iterator[Fault]:
    # A request that is sent again to another backend has the header from before: it must be replaced there.
    first = _header(shown[0][1])
    for index, backend in backends:
        path: Path = (*way, "backends", index)
        if "credentials" not in backend:
            hint = "a request that is sent again here would carry the other's; or make it another revision"
            yield Fault(
                "missing-key",
                path,
                "`credentials` is missing: another backend of this revision has them",
                hint,
            )
    for index, credentials in shown[1:]:
        header = _header(credentials)
        if first is not None and header is not None and header != first:
            at: Path = (*way, "backends", index, "credentials")
            message = (
                f"the backends of a revision have their credentials in one header, `{first}`, not `{header}`"
            )
            hint = "a request that is sent again here would carry the other's; make it another revision"
            yield Fault("bad-value", (*at, "header") if "header" in credentials else at, message, hint)


def _header(credentials: dict[str, Any]) -> str | None:
    """The header in lower case; ``None`` where it cannot be told."""
    header = credentials.get("header", _DEFAULT)
    return header.casefold() if isinstance(header, str) else None
