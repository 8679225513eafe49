"""URLs that the control plane itself sends requests to."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from xds_server.policy.reading.fault import Fault, Path


def service_url_rules(path: Path, url: str, example: str) -> Iterator[Fault]:
    """What breaks a rule in a URL at this path; `example` is a good one."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        good = False
    if not good or "@" in url or parts.query or parts.fragment:
        # It may hold a password, which diagnostics would carry into logs.
        message = "`url` must be an http or https URL without credentials and query"
        yield Fault("bad-address", path, message, f"for example `{example}`")
