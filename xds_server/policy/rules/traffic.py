"""Traffic: keys by which callers cannot be known again, or that are not what they seem."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xds_server.policy.kinds.duration import parse_duration
from xds_server.policy.reading.fault import Fault, Path
from xds_server.policy.rules.value import entries, mapping, text
from xds_server.policy.suggestion import did_you_mean

_KEYS = ("header", "claim", "cookie")
_NO_KEYS = frozenset(
    {
        "authorization",
        "connection",
        "content-length",
        "cookie",
        "expect",
        "host",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-request-id",
    }
)
"""Headers that are others with each request or connection, or are not there any more where a revision is picked."""
MOST_STICKY = 1000
"""How many revisions may share requests by the caller's key: each has a part of 10,000 at least."""
_OWN = ("x-fairlead-", "x-fairlead_", "x_fairlead", "x-envoy-")


def traffic_rules(way: Path, deployment: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in how a deployment deals its requests."""
    if isinstance(deployment.get("sticky"), dict):
        yield from _sticky((*way, "sticky"), deployment["sticky"])
        if len(entries(deployment, "revisions")) > MOST_STICKY:
            message = f"callers can stay with one of {MOST_STICKY} revisions at most"
            yield Fault("bad-value", (*way, "sticky"), message, "keep fewer revisions, or leave `sticky` out")
    if isinstance(deployment.get("shadow"), dict):
        yield from _shadow((*way, "shadow"), deployment)


def _shadow(path: Path, deployment: dict[str, Any]) -> Iterator[Fault]:
    if mapping(deployment, "routing").get("callerChoice") is True:
        message = (
            "copies cannot be bound to a residency, as callers may bind their requests with `callerChoice`"
        )
        yield Fault("bad-value", path, message, "leave one of the two out")
    revisions = entries(deployment, "revisions")
    name = text(deployment["shadow"], "revision")
    weights = {text(each, "name"): each.get("weight", 1) for _, each in revisions}
    rollout = mapping(deployment, "rollout")
    if rollout:
        moving = (text(rollout, "from"), text(rollout, "to"))
        weights = {each: int(each in moving) for each in weights}
    if name is None or not revisions:
        return
    if name not in weights:
        known = [each for each in weights if each is not None]
        hint = did_you_mean(name, known)
        yield Fault("unknown-revision", (*path, "revision"), f"there is no revision `{name}` here", hint)
    elif weights[name] != 0:
        message = f"revision `{name}` is in the split, and would answer some requests twice"
        hint = "name one that the rollout leaves alone" if rollout else "give it the weight 0"
        yield Fault("bad-value", (*path, "revision"), message, hint)


def _sticky(path: Path, sticky: dict[str, Any]) -> Iterator[Fault]:
    if not any(key in sticky for key in _KEYS):
        hint = "for example `claim: sub`"
        yield Fault("missing-key", path, "needs `header`, `claim` or `cookie`", hint)
    header = text(sticky, "header")
    if header is not None and (header.casefold() in _NO_KEYS or header.casefold().startswith(_OWN)):
        message = f"`{header}` does not tell one caller from another"
        if header.casefold() == "authorization":
            hint = "a token is another one after an hour; write `claim: sub`"
        elif header.casefold() == "cookie":
            hint = "write `cookie: {name: fairlead-session}`"
        else:
            hint = "for example `x-user-id`"
        yield Fault("bad-value", (*path, "header"), message, hint)
    ttl = text(mapping(sticky, "cookie"), "ttl")
    if ttl is not None and _is_fraction(ttl):
        message = f"a cookie is kept for whole seconds, not {ttl}"
        yield Fault("bad-value", (*path, "cookie", "ttl"), message, "for example `1h`")


def _is_fraction(duration: str) -> bool:
    try:
        return not parse_duration(duration).is_integer()
    except ValueError:
        return False
