"""How clusters resolve names: every address of a name is an endpoint, looked up again every five seconds."""

from __future__ import annotations

from typing import Any

DNS_DISCOVERY: dict[str, Any] = {
    "type": "STRICT_DNS",
    "dns_lookup_family": "V4_PREFERRED",
}
"""The cluster fields; ``load_assignment`` holds the names."""
