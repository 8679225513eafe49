"""A member of a fleet: one Envoy, who it is and how it is started."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from xds_server.bootstrap import Trust

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
    accepts. With ``xds_ca`` it speaks TLS to the control plane; the files are on the Envoy's machine.
    """

    gateway: str
    region: str
    xds: tuple[str, int]
    admin_port: int = ADMIN_PORT
    node: str | None = None
    variant: Variant = Variant.DELTA
    transport: Transport = Transport.ADS
    connections: int = CONNECTIONS
    xds_ca: Path | None = None
    xds_certificate: Path | None = None
    xds_key: Path | None = None
    xds_sni: str | None = None
    load_reports: bool = False

    def __post_init__(self) -> None:
        """Raise ``ValueError`` for files that make sense only together."""
        if (self.xds_certificate is None) != (self.xds_key is None):
            raise ValueError("--xds-certificate and --xds-key belong together")
        if self.xds_ca is None and (self.xds_certificate is not None or self.xds_sni is not None):
            raise ValueError("TLS to the control plane needs --xds-ca, the authority of its certificate")

    @property
    def node_id(self) -> str:
        """The name it goes by: the same after a restart, another for a second member on the machine."""
        if self.node is not None:
            return self.node
        port = "" if self.admin_port == ADMIN_PORT else f".{self.admin_port}"
        return f"{self.gateway}.{self.region}.{socket.gethostname()}{port}"

    def bootstrap(self) -> dict[str, Any]:
        """Return its bootstrap as JSON data."""
        from xds_server.bootstrap import compile_bootstrap

        return compile_bootstrap(
            node=self.node_id,
            gateway=self.gateway,
            region=self.region,
            xds=self.xds,
            admin=(ADMIN_HOST, self.admin_port),
            variant=self.variant.value,
            streams=self.transport.value,
            connections=self.connections,
            trust=self._trust(),
            load_reports=self.load_reports,
        )

    def require_files(self) -> None:
        """Raise ``OSError``, with its ``filename``, for the first file of TLS that cannot be read here."""
        for file in (self.xds_ca, self.xds_certificate, self.xds_key):
            if file is not None:
                file.read_bytes()

    def _trust(self) -> Trust | None:
        from xds_server.bootstrap import Trust

        if self.xds_ca is None:
            return None
        return Trust(
            ca=str(self.xds_ca),
            certificate=None if self.xds_certificate is None else str(self.xds_certificate),
            key=None if self.xds_key is None else str(self.xds_key),
            name=self.xds_sni,
        )

    def arguments(self) -> list[str]:
        """Return Envoy's arguments: its bootstrap, which needs no file this way, and no hot restart.

        The shared memory of hot restart would tie together the Envoys of one machine.
        """
        config = json.dumps(self.bootstrap(), separators=(",", ":"))
        return ["--config-yaml", config, "--disable-hot-restart"]
