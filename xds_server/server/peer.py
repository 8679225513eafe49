"""Who a client is, by its TLS certificate, and which gateway it may be a member of."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Peer:
    """The subject alternative names of a verified client certificate:
    https://www.rfc-editor.org/rfc/rfc5280#section-4.2.1.6"""

    dns: frozenset[str]
    uris: frozenset[str]

    def may_join(self, gateway: str, identities: AbstractSet[str]) -> bool:
        """Say whether it may be a member of a gateway that lists `identities`.

        A gateway that lists none admits a DNS name that is the gateway's own, and a URI that ends in
        `/gateway/<name>`, such as a SPIFFE ID.
        """
        if identities:
            return not identities.isdisjoint(self.dns | self.uris)
        return gateway in self.dns or any(uri.endswith(f"/gateway/{gateway}") for uri in self.uris)

    def __str__(self) -> str:
        return ", ".join(sorted(self.dns | self.uris)) or "a certificate without names"


def peer_of(context: Any) -> Peer:
    """Read the names off the context of a gRPC call. They were verified in the handshake, or are none.

    gRPC also gives all of them as one list, in which a DNS name could pass for a URI.
    """
    properties = context.auth_context()
    return Peer(_texts(properties.get("peer_dns", ())), _texts(properties.get("peer_uri", ())))


def _texts(values: Any) -> frozenset[str]:
    return frozenset(value.decode("utf-8", "replace") for value in values)
