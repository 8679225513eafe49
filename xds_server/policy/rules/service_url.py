"""URLs that the control plane itself sends requests to."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from xds_server.policy.kinds.address import AddressError, parse_address
from xds_server.policy.reading.fault import Fault, Path


def service_url_rules(path: Path, url: str, example: str) -> Iterator[Fault]:
    """What breaks a rule in a URL at this path; `example` is a good one.

    An IP address in it must be one that a backend may have, so none of a cloud's metadata service.
    """
    try:
        parts = urlsplit(url)
        host, good = parts.hostname or "", parts.scheme in ("http", "https") and (parts.port or 1) > 0
    except ValueError:
        host, good = "", False
    if not good or not host or url != url.strip() or "@" in url or parts.query or parts.fragment:
        # It may hold a password, which diagnostics would carry into logs.
        message = "`url` must be an http or https URL without credentials and query"
        yield Fault("bad-address", path, message, f"for example `{example}`")
        return
    try:
        parse_address(f"http://[{host}]" if ":" in host else f"http://{host}")
    except AddressError as error:
        yield Fault("bad-address", path, f"the host of `url` {error}", f"for example `{example}`")
