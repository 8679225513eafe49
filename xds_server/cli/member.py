"""A member of a fleet: one Envoy, who it is and how it is started."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

ADMIN_HOST: Final = "127.0.0.1"
ADMIN_PORT: Final = 19000
CONNECTIONS: Final = 50_000


class Variant(StrEnum):
    """Which of xDS's two dialects the Envoy speaks."""

    DELTA = "delta"
    SOTW = "sotw"


class Transport(StrEnum):
    """On which streams the Envoy asks."""

    ADS = "ads"
    PER_TYPE = "per-type"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One Envoy of a fleet. ``xds`` is host and port of the control plane, ``connections`` the most it
    accepts.
    """

    gateway: str
    region: str
    xds: tuple[str, int]
    admin_port: int = ADMIN_PORT
    node: str | None = None
    variant: Variant = Variant.DELTA
    transport: Transport = Transport.ADS
    connections: int = CONNECTIONS

    @property
    def node_id(self) -> str:
        """The name it goes by: the same after a restart, another for a second member on the machine."""
        if self.node is not None:
            return self.node
        port = "" if self.admin_port == ADMIN_PORT else f".{self.admin_port}"
        return f"{self.gateway}.{self.region}.{socket.gethostname()}{port}"

    def bootstrap(self) -> dict[str, Any]:
        """Return its bootstrap as JSON data."""
        from xds_server.compiler import compile_bootstrap

        return compile_bootstrap(
            node=self.node_id,
            gateway=self.gateway,
            region=self.region,
            xds=self.xds,
            admin=(ADMIN_HOST, self.admin_port),
            variant=self.variant.value,
            streams=self.transport.value,
            connections=self.connections,
        )

    def arguments(self) -> list[str]:
        """Return Envoy's arguments: its bootstrap, which needs no file this way, and no hot restart.

        The shared memory of hot restart would tie together the Envoys of one machine.
        """
        config = json.dumps(self.bootstrap(), separators=(",", ":"))
        return ["--config-yaml", config, "--disable-hot-restart"]
