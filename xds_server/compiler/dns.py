"""How clusters resolve names: every address of a name is an endpoint, asked for again every five seconds (Envoy's default)."""

from __future__ import annotations

from typing import Any

DNS_DISCOVERY: dict[str, Any] = {
    "type": "STRICT_DNS",
    "dns_lookup_family": "V4_PREFERRED",
}
"""The cluster fields; ``load_assignment`` holds the names."""
