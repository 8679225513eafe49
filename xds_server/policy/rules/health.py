"""Health checks: keys that do not belong to a type, and values that cannot go together."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from xds_server.policy.kinds.duration import parse_duration
from xds_server.policy.reading.fault import Fault, Path

_TYPE_OF = {"path": "http", "expectedStatuses": "http", "service": "grpc"}
_TYPES = ("http", "grpc", "tcp")


def health_rules(way: Path, check: dict[str, Any]) -> Iterator[Fault]:
    """What breaks a rule in a `healthCheck`; `way` is the path of what has it."""
    here: Path = (*way, "healthCheck")
    kind = check.get("type", "http")
    for key, belongs in _TYPE_OF.items():
        if key in check and kind in _TYPES and kind != belongs:
            message = f"`{key}` is only for type `{belongs}`, and this is `{kind}`"
            yield Fault(
                "bad-value", (*here, key), message, f"write `type: {belongs}`, or leave it out", key=True
            )
    yield from _times(here, check)
    yield from _statuses(here, check)


def _times(here: Path, check: dict[str, Any]) -> Iterator[Fault]:
    interval, timeout = check.get("interval", "5s"), check.get("timeout", "1s")
    if not isinstance(interval, str) or not isinstance(timeout, str):
        return
    try:
        longer = parse_duration(timeout) > parse_duration(interval)
    except ValueError:
        return
    if longer:
        key = "timeout" if "timeout" in check else "interval"
        message = f"a check may take {timeout} but the next begins after {interval}"
        yield Fault("bad-value", (*here, key), message, "make `timeout` the shorter one")


def _statuses(here: Path, check: dict[str, Any]) -> Iterator[Fault]:
    statuses = check.get("expectedStatuses")
    for index, status in enumerate(statuses if isinstance(statuses, tuple) else ()):
        low, dash, high = status.partition("-") if isinstance(status, str) else ("", "", "")
        if dash and low.isdigit() and high.isdigit() and int(low) > int(high):
            path: Path = (*here, "expectedStatuses", index)
            yield Fault("bad-value", path, f"`{status}` is empty", f'did you mean "{high}-{low}"?')
