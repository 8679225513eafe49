"""Looking at values whose shape is not known to be right."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

from xds_server.policy.kinds.duration import parse_duration
from xds_server.policy.reading.fault import Fault, Path


def entries(value: Any, key: str) -> list[tuple[int, dict[str, Any]]]:
    """The mappings in the list under a key, with their indices; whatever is not a mapping is passed over."""
    held = value.get(key)
    if not isinstance(held, tuple):
        return []
    return [(index, entry) for index, entry in enumerate(held) if isinstance(entry, dict)]


def mapping(value: Any, key: str) -> dict[str, Any]:
    """The mapping under a key, or an empty one."""
    held = value.get(key)
    return held if isinstance(held, dict) else {}


def text(value: Any, key: str) -> str | None:
    """The text under a key, or None."""
    held = value.get(key)
    return held if isinstance(held, str) else None


def seconds(value: Any, key: str) -> float | None:
    """The seconds of the duration under a key, or None."""
    written = text(value, key)
    try:
        return None if written is None else parse_duration(written)
    except ValueError:
        return None


def whole(value: Any) -> bool:
    """Whether a value is a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def repeated(
    claims: Iterable[tuple[Path, Hashable | None]], say: Callable[[Any], str], code: str = "duplicate-entry"
) -> Iterator[Fault]:
    """A fault for every value that came before; `claims` are paths with what stands there, None for nothing."""
    seen = set()
    for path, value in claims:
        if value is not None and value in seen:
            yield Fault(code, path, say(value))
        seen.add(value)
