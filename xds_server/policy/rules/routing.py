"""Routing: keys that do not belong to a mode, and locations that are named without a backend there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xds_server.policy.reading.fault import Fault, Path
from xds_server.policy.rules.overflow import overflow_rules
from xds_server.policy.rules.value import entries, mapping, repeated, text, whole
from xds_server.policy.suggestion import closest

MOST_WEIGHT = 2**32 - 1
"""What the weights of places may add up to. Source: `LocalityLbEndpoints.load_balancing_weight`,
https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/endpoint/v3/endpoint_components.proto
"""
_MODE_OF = {"order": "nearest", "weights": "weighted", "location": "pinned", "overflow": "nearest"}
_REQUIRED = {"weighted": "weights", "pinned": "location"}


def routing_rules(way: Path, deployment: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in a deployment's `routing`; `way` is the deployment's path."""
    routing = mapping(deployment, "routing")
    if not routing:
        return
    here: Path = (*way, "routing")
    yield from _keys_of_the_mode(here, routing)
    yield from _weights(here, routing)
    if "overflow" in routing:
        yield from overflow_rules(way, deployment)
    if routing.get("callerChoice") is True and _registers(deployment):
        message = "with `registration`, nobody knows which residencies a revision can keep within"
        yield Fault("bad-value", (*here, "callerChoice"), message, "leave one of the two out", key=True)
    order = routing.get("order")
    claims = enumerate(order) if isinstance(order, tuple) else ()
    yield from repeated(
        (((*here, "order", at), name) for at, name in claims if isinstance(name, str)),
        lambda name: f"`{name}` is listed already",
    )
    yield from _places_without_backends(here, routing, deployment)


def _keys_of_the_mode(here: Path, routing: dict[str, Any]) -> Iterator[Fault]:
    mode = routing.get("mode", "nearest")
    if mode not in _MODE_OF.values():
        return
    for key, belongs in _MODE_OF.items():
        if key in routing and mode != belongs:
            message = f"`{key}` is only for mode `{belongs}`, and this is `{mode}`"
            yield Fault(
                "bad-value", (*here, key), message, f"write `mode: {belongs}`, or leave it out", key=True
            )
    needed = _REQUIRED.get(mode)
    if needed is not None and needed not in routing:
        example = (
            "`weights: {eu-west-3: 80, us-east-1: 20}`" if mode == "weighted" else "`location: eu-west-3`"
        )
        yield Fault("missing-key", here, f"`{needed}` is missing", f"for example {example}")


def _weights(here: Path, routing: dict[str, Any]) -> Iterator[Fault]:
    weights = mapping(routing, "weights")
    if not weights or not all(whole(each) and each >= 0 for each in weights.values()):
        return
    first = (*here, "weights", next(iter(weights)))
    total = sum(weights.values())
    if total == 0:
        hint = "to serve nothing, write `enabled: false`"
        yield Fault("zero-weights", first, "the weights of all locations are 0", hint)
    if total > MOST_WEIGHT:
        message = f"the weights of all locations add up to {total}; at most {MOST_WEIGHT} is possible"
        yield Fault("large-weights", first, message, "divide them all by the same number")


def _registers(deployment: dict[str, Any]) -> bool:
    return any("registration" in revision for _, revision in entries(deployment, "revisions"))


def _places_without_backends(
    here: Path, routing: dict[str, Any], deployment: dict[str, Any]
) -> Iterator[Fault]:
    if _registers(deployment):
        return
    there = {
        location
        for _, revision in entries(deployment, "revisions")
        for _, backend in entries(revision, "backends")
        if (location := text(backend, "location")) is not None
    }
    for path, name in list_named_places(routing):
        if there and name not in there:
            close = closest(name, there)
            hint = f"did you mean `{close}`?" if close else "one of: " + ", ".join(sorted(there))
            message = f"no revision has a backend in `{name}`"
            yield Fault("no-backend-there", (*here, *path), message, hint, key=path[0] == "weights")


def list_named_places(routing: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """The locations that a `routing` names, each with its path in it."""
    order = routing.get("order")
    for at, name in enumerate(order if isinstance(order, tuple) else ()):
        if isinstance(name, str):
            yield ("order", at), name
    for name in mapping(routing, "weights"):
        if isinstance(name, str):
            yield ("weights", name), name
    location = text(routing, "location")
    if location is not None:
        yield ("location",), location
