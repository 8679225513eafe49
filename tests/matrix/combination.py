"""What the matrix is made of: a release of Envoy, the streams on which it asks, and the variant in which it does."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

from xds_server.cli.member import Member, Transport, Variant

_ROOT = Path(__file__).parents[2]
_LISTED = Path(__file__).with_name("releases")
RELEASES = tuple(line for line in _LISTED.read_text().split("\n") if line and not line.startswith("#"))

# Envoy comes back sooner than in real life, and a storm of reconnects is a storm.
_RETRY = {"retry_back_off": {"base_interval": "0.05s", "max_interval": "0.2s"}}


class Combination(NamedTuple):
    """One field of the matrix; as text `1.36.4-per-type-delta`."""

    release: str
    transport: Transport
    variant: Variant

    def __str__(self) -> str:
        return f"{self.release}-{self.transport.value}-{self.variant.value}"

    @property
    def binary(self) -> Path:
        """The Envoy of that release."""
        found = _ROOT / ".matrix" / self.release / "envoy/_bin/envoy"
        if not os.access(found, os.X_OK):
            raise FileNotFoundError(f"{found} is missing: `make test-matrix` installs it")
        return found

    def bootstrap(self, node: str, gateway: str, region: str, xds_port: int) -> dict[str, Any]:
        """What `fairlead envoy bootstrap` prints, but for the wait before Envoy comes back."""
        member = Member(
            gateway=gateway,
            region=region,
            xds=("127.0.0.1", xds_port),
            node=node,
            variant=self.variant,
            transport=self.transport,
        )
        found = member.bootstrap()
        for each in _services(found["dynamic_resources"]):
            each["envoy_grpc"]["retry_policy"] = _RETRY
        return found


def _services(part: Any) -> list[dict[str, Any]]:
    """All gRPC services named in a part of a bootstrap."""
    if isinstance(part, list):
        return [found for each in part for found in _services(each)]
    if not isinstance(part, dict):
        return []
    return part.get("grpc_services", []) + [found for each in part.values() for found in _services(each)]


COMBINATIONS = tuple(
    Combination(release, transport, variant)
    for release in RELEASES
    for transport in Transport
    for variant in Variant
)
