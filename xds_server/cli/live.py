"""The live log of ``fairlead up``: what Envoy writes, in lines that fit a terminal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Final

from xds_server.cli.terminal import say

ABSENT: Final = "-"


class LiveLog:
    """Says what Envoy writes from the moment it is opened; requests that came before are left out."""

    def __init__(self) -> None:
        self._since: str | None = None

    def open(self) -> None:
        """Begin to say what happens from now on."""
        self._since = f"{datetime.now(UTC).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"

    def close(self) -> None:
        """Say no more."""
        self._since = None

    def tell(self, line: str) -> None:
        """Say one line of Envoy's output: a request from its access log, or a word of its own."""
        if self._since is None or not line:
            return
        request = _request(line)
        if request is None:
            say(f"envoy  {line}", "warning")
        elif str(request.get("time") or self._since) >= self._since:
            say(describe(request), "faint" if _status(request) < 400 else "warning")


def describe(request: dict[str, Any]) -> str:
    """Put one request of the access log into a line: when, what, the answer, and who gave it."""
    time = str(request.get("time") or "").partition("T")[2][:8]
    where = " ".join(
        str(request[name]) for name in ("region", "environment", "revision") if _present(request.get(name))
    )
    error = request.get("error")
    giver = f"gateway: {error}" if _present(error) else where
    what = f"{request.get('method') or ABSENT} {request.get('path') or ABSENT}"
    return f"{time} {what} → {_status(request)} in {request.get('duration_ms') or 0} ms  {giver}".rstrip()


def is_request(line: str) -> bool:
    """Tell whether a line of Envoy's output is one of its access log."""
    return _request(line) is not None


def _request(line: str) -> dict[str, Any] | None:
    if not line.startswith("{"):
        return None
    try:
        request = json.loads(line)
    except ValueError:
        return None
    return request if isinstance(request, dict) and "status" in request else None


def _status(request: dict[str, Any]) -> int:
    try:
        return int(request["status"])
    except (TypeError, ValueError):
        return 0


def _present(value: Any) -> bool:
    return value not in (None, "", ABSENT)
