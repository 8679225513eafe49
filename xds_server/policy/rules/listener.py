"""Listeners: addresses, ports and host names of a gateway that clash."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from xds_server.policy.kinds.address import is_ip
from xds_server.policy.reading.fault import Fault, Path
from xds_server.policy.rules.value import entries, repeated, text, whole

_ANY = "0.0.0.0"  # noqa: S104


def gateway_rules(spec: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in a Gateway."""
    listeners = entries(spec, "listeners")
    yield from repeated(
        ((("spec", "listeners", index, "name"), text(each, "name")) for index, each in listeners),
        lambda name: f"there is a listener `{name}` already",
    )
    yield from _ports(listeners)
    for index, listener in listeners:
        yield from same_words(("spec", "listeners", index, "hostnames"), listener.get("hostnames"))
    yield from same_words(("spec", "workspaceHeaders"), spec.get("workspaceHeaders"))
    for path in (("identities",), ("nodes", "clusters"), ("nodes", "ids"), ("proxyless", "workspaces")):
        yield from _same_entries(spec, path)
    if "nodes" in spec and spec["nodes"] == {}:
        yield Fault("missing-key", ("spec", "nodes"), "needs `clusters`, `ids` or `metadata`")
    yield from _one_kind(spec)


def _one_kind(spec: dict[str, Any]) -> Iterator[Fault]:
    # Envoys and clients without Envoy are told nothing of each other's, so they need gateways of their own.
    if "proxyless" not in spec:
        if "listeners" not in spec:
            yield Fault(
                "missing-key",
                ("spec",),
                "`listeners` is missing",
                "or `proxyless`, for clients without Envoy",
            )
        return
    for key in ("listeners", "runtime", "paths", "workspaceHeaders", "delivery", "limits", "timeouts"):
        if key in spec:
            hint = "declare another Gateway for the Envoys"
            yield Fault("bad-value", ("spec", key), f"a `proxyless` gateway has no `{key}`", hint, key=True)


def _same_entries(spec: dict[str, Any], path: tuple[str, ...]) -> Iterator[Fault]:
    held: Any = spec
    for key in path:
        held = held.get(key) if isinstance(held, dict) else None
    if isinstance(held, tuple):
        claims: list[tuple[Path, str]] = [
            (("spec", *path, index), each) for index, each in enumerate(held) if isinstance(each, str)
        ]
        yield from repeated(claims, lambda word: f"`{word}` is listed already")


def _ports(listeners: list[tuple[int, dict[str, Any]]]) -> Iterator[Fault]:
    for order, (index, listener) in enumerate(listeners):
        port, address = listener.get("port"), listener.get("address", _ANY)
        if not whole(port) or not isinstance(address, str) or not is_ip(address):
            continue
        for _, other in listeners[:order]:
            taken = other.get("address", _ANY)
            if other.get("port") == port and isinstance(taken, str) and _overlap(address, taken):
                name = text(other, "name") or "?"
                message = f"port {port} is already that of listener `{name}` on {taken}"
                hint = "give one of them another port, or put all host names in one listener"
                yield Fault("port-clash", ("spec", "listeners", index, "port"), message, hint)
                break


def _overlap(one: str, other: str) -> bool:
    """Whether two IP addresses to listen on share an address. `::` takes IPv4 connections too."""
    if not is_ip(other):
        return False
    first, second = ip_address(one), ip_address(other)
    if first == second or "::" in (str(first), str(second)):
        return True
    return first.version == second.version and (first.is_unspecified or second.is_unspecified)


def same_words(path: Path, words: Any) -> Iterator[Fault]:
    """Words of a list that differ in case at most."""
    if isinstance(words, tuple):
        claims = [
            ((*path, index), word.casefold()) for index, word in enumerate(words) if isinstance(word, str)
        ]
        yield from repeated(claims, lambda word: f"`{word}` is listed already")
