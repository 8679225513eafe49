"""Scale from zero: deployments that cannot be at zero, waits that others end first, tokens in plain sight."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from xds_server.policy.reading.fault import Fault, Path
from xds_server.policy.rules.service_url import service_url_rules
from xds_server.policy.rules.value import entries, mapping, seconds, text

_KEY: Final = "scaleFromZero"
_LONGEST_HOLD: Final = 600.0
"""Seconds. A caller that would wait longer for an answer to begin is better told to come back."""


def scaling_rules(way: Path, deployment: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in a deployment's `scaleFromZero`; `way` is the deployment's path."""
    if _KEY not in deployment:
        return
    here: Path = (*way, _KEY)
    revisions = entries(deployment, "revisions")
    if revisions and not any("registration" in each for _, each in revisions):
        message = "no revision has `registration`, so none is ever without a backend"
        hint = "add `registration: {ttl: 30s}` to the revisions whose backends come and go"
        yield Fault("bad-value", here, message, hint, key=True)
    scaling = mapping(deployment, _KEY)
    yield from _hold((*here, "hold"), scaling, mapping(deployment, "timeouts"))
    retry_after = seconds(scaling, "retryAfter")
    if retry_after is not None and retry_after < 1:
        message = "`Retry-After` is in whole seconds, so `retryAfter` is 1s or more"
        yield Fault("bad-value", (*here, "retryAfter"), message)
    wake = mapping(scaling, "wake")
    url = text(wake, "url")
    if url is None:
        return
    yield from service_url_rules((*here, "wake", "url"), url, "https://autoscaler.internal/wake")
    every = seconds(wake, "every")
    if every is not None and 0 < every < 1:
        message = "a hook is told once a second at most"
        yield Fault("bad-value", (*here, "wake", "every"), message, "for example `30s`")
    for key in ("token", "ca"):
        if key in wake and url.strip().lower().startswith("http:"):
            message = f"`{key}` is only for an https URL"
            hint = f"write `https://…`, or leave `{key}` out"
            yield Fault("tls-without-https", (*here, "wake", key), message, hint, key=True)


def _hold(path: Path, scaling: dict[str, Any], timeouts: dict[str, Any]) -> Iterator[Fault]:
    hold = seconds(scaling, "hold")
    if hold is None:
        return
    if hold > _LONGEST_HOLD:
        yield Fault("bad-value", path, "a request is held for 10m at most", "for example `30s`")
    for key in ("idle", "total"):
        within = seconds(timeouts, key)
        if within is not None and hold >= within:
            message = f"the deployment's `timeouts.{key}` ends the wait before `hold` does"
            yield Fault("bad-value", path, message, f"make `timeouts.{key}` the longer one")
