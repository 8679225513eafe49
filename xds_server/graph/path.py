"""Request paths as Envoy reads them: normalised before anything looks at them.

The rules are those that the gateways' connection managers are given: escaped slashes refused (or kept), unreserved
characters decoded, dot segments resolved, slashes merged.
https://www.envoyproxy.io/docs/envoy/latest/configuration/http/http_conn_man/header_sanitizing
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_ESCAPED_SLASH = re.compile("%(?:2f|5c)", re.IGNORECASE)
_ESCAPE = re.compile("%([0-9a-fA-F]{2})")
# Envoy drops parameters of a dot segment (`/..;x/`) before it resolves it, where dots and slashes stand unescaped.
_PARAMETERS = re.compile(r"(?<=/)([.]{1,2});[^/]*")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

_HIDDEN_DOTS = re.compile("/[.][.]?(?:;|%3b|%2f|%5c)", re.IGNORECASE)


class PathRefusedError(ValueError):
    """Envoy answers such a path with 400."""


@dataclass(frozen=True, slots=True)
class RunPath:
    """A run path taken apart. ``rest`` is what the model is asked for: the sub-path, at least ``/``."""

    workspace: str
    segment: str
    name: str
    rest: str


def normalise_path(path: str, *, keep_escaped_slashes: bool = False) -> str:
    """The path that routing sees; ``path`` is without query. Raises ``PathRefusedError``."""
    if not path.startswith("/"):
        raise PathRefusedError("a path begins with a slash")
    if not keep_escaped_slashes and _ESCAPED_SLASH.search(path):
        raise PathRefusedError("the path holds an escaped slash")
    if "%00" in path or "\0" in path:
        raise PathRefusedError("the path holds a null character")
    decoded = _ESCAPE.sub(_decode, _PARAMETERS.sub(r"\1", path)).replace("\\", "/")
    segments: list[str] = []
    parts = decoded.split("/")[1:]
    for at, part in enumerate(parts):
        last = at == len(parts) - 1
        if part == "..":
            del segments[-1:]
        elif part != ".":
            segments.append(part)
            continue
        if last:
            segments.append("")
    return _merge_slashes("/" + "/".join(segments))


def hides_dots(path: str) -> bool:
    """Whether a normalised path holds what another reader may take for a dot segment: the gateways refuse it."""
    return _HIDDEN_DOTS.search(path) is not None


def split_run_path(path: str) -> RunPath | None:
    """A normalised path as workspace, segment, name and rest; ``None`` if it has fewer parts."""
    parts = path.split("/", 4)
    if len(parts) < 4:
        return None
    rest = "/" + parts[4] if len(parts) == 5 else "/"
    return RunPath(parts[1], parts[2], parts[3], rest)


def _merge_slashes(path: str) -> str:
    # Nothing but slashes stays two of them, which is as good as one: neither names a workspace.
    return re.sub("/{2,}", "/", path) if path.strip("/") else path[:2]


def _decode(match: re.Match[str]) -> str:
    character = chr(int(match[1], 16))
    return character if character in _UNRESERVED else match[0]
