"""Overflow: bounds that leave no room between them, and backends whose share could not change at run time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xds_server.policy.kinds.address import AddressError, parse_address
from xds_server.policy.reading.fault import Fault, Path
from xds_server.policy.rules.value import entries, mapping, text, whole


def overflow_rules(way: Path, deployment: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in a deployment's `routing.overflow`; `way` is the deployment's path."""
    overflow = mapping(mapping(deployment, "routing"), "overflow")
    above, below = overflow.get("above"), overflow.get("below")
    if whole(above) and whole(below) and below >= above:  # type: ignore[operator]
        message = f"`below` is {below}, and must be less than `above`, which is {above}"
        hint = "in between, everything stays as it is; without that, it would go to and fro"
        yield Fault("bad-value", (*way, "routing", "overflow", "below"), message, hint)
    for index, revision in entries(deployment, "revisions"):
        for at, backend in entries(revision, "backends"):
            if _is_named(text(backend, "address")):
                path: Path = (*way, "revisions", index, "backends", at, "address")
                message = "with `routing.overflow`, backends are reached by IP address"
                hint = "where an Envoy resolves a name, places cannot change without a new cluster"
                yield Fault("bad-address", path, message, hint)


def _is_named(address: str | None) -> bool:
    try:
        return address is not None and not parse_address(address).is_ip
    except AddressError:
        return False
