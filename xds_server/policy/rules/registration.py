"""Registration: revisions without a backend, and declared ones that those who register would not fit in with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xds_server.policy.kinds.address import AddressError, parse_address
from xds_server.policy.reading.fault import Fault, Path
from xds_server.policy.rules.value import entries, text


def registration_rules(here: Path, revision: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in a revision's `backends` and `registration`; `here` is its path."""
    if "registration" not in revision:
        if "backends" not in revision:
            yield Fault("missing-key", (*here, "backends"), "`backends` is missing")
        elif revision["backends"] == ():
            message = "`backends` must have at least one entry"
            yield Fault("empty-list", (*here, "backends"), message)
        return
    for at, backend in entries(revision, "backends"):
        way: Path = (*here, "backends", at)
        address = text(backend, "address")
        try:
            parsed = parse_address(address) if address is not None else None
        except AddressError:
            parsed = None
        hint = (
            "who registers says an IP address and a port, and shares a cluster with those that are declared"
        )
        if parsed is not None and (parsed.tls or not parsed.is_ip):
            message = "with `registration`, backends are reached over plain http at an IP address"
            yield Fault("bad-address", (*way, "address"), message, hint)
        if "pathPrefix" in backend:
            message = "with `registration`, backends have no `pathPrefix`"
            yield Fault("bad-value", (*way, "pathPrefix"), message, hint, key=True)
        if "credentials" in backend:
            message = (
                "with `registration`, backends have no `credentials`: whoever registers would be sent them"
            )
            yield Fault("bad-value", (*way, "credentials"), message, hint, key=True)
