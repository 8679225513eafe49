"""URLs that something is fetched from: `https`, or `http` on this machine only."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from xds_server.policy.reading.fault import Fault, Path

_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


def url_rules(path: Path, url: str, example: str, risk: str) -> Iterator[Fault]:
    """What is wrong with a URL at a path. `risk` says what plain http would let happen, after "over plain http"."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        yield Fault("bad-address", path, f"`{url}` is not a URL")
        return
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc or parts.fragment:
        yield Fault("bad-address", path, f"`{url}` is not an https URL", f"for example `{example}`")
    elif parts.scheme == "http" and host not in _THIS_MACHINE:
        yield Fault("bad-address", path, risk, f"did you mean `https{url[4:]}`?")
