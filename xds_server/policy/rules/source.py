"""Policy sources: from where, and how often."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xds_server.policy.kinds.duration import parse_duration
from xds_server.policy.reading.fault import Fault
from xds_server.policy.rules.url import url_rules
from xds_server.policy.rules.value import text

_EXAMPLE = "https://governance.example.com/policies.yaml"
_OFTENEST = 1.0


def source_rules(spec: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in a PolicySource."""
    url = text(spec, "url")
    if url is not None:
        risk = "policies must not be fetched over plain http: whoever is on the way could rewrite them"
        yield from url_rules(("spec", "url"), url, _EXAMPLE, risk)
    every = text(spec, "every")
    if every is not None and _is_too_often(every):
        hint = "what is published reaches the fleet within that time; `60s` does"
        yield Fault("bad-value", ("spec", "every"), f"`every` must be at least 1s, not {every}", hint)


def _is_too_often(every: str) -> bool:
    try:
        return parse_duration(every) < _OFTENEST
    except ValueError:
        return False
