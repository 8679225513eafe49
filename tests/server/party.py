"""An authority, and what it signed, in files."""

from __future__ import annotations

import os
from pathlib import Path

import grpc
import grpc.aio

from tests.e2e.certificates import Certificates
from xds_server.server import ControlPlane, Tls

SERVER = "control.example"


class Party:
    """An authority, and what it signed, in files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.certificates = Certificates.make()
        self.write("ca.pem", self.certificates.authority)
        self.write("key.pem", self.certificates.key)
        self.write("chain.pem", self.certificates.chain(SERVER))

    def write(self, name: str, text: str) -> Path:
        """Put a file in place as a rotation does: at once."""
        fresh = self.folder / f"{name}.new"
        fresh.write_text(text)
        os.replace(fresh, self.folder / name)
        return self.folder / name

    def tls(self, *, clients: bool = True) -> Tls:
        return Tls(
            self.folder / "chain.pem", self.folder / "key.pem", self.folder / "ca.pem" if clients else None
        )

    def channel(
        self,
        plane: ControlPlane,
        *sans: str,
        trust: Certificates | None = None,
        signer: Certificates | None = None,
    ) -> grpc.aio.Channel:
        """Connect with a certificate for `sans`, or none."""
        signer = signer or self.certificates
        shown = (signer.key.encode(), signer.chain(*sans).encode()) if sans else (None, None)
        credentials = grpc.ssl_channel_credentials((trust or self.certificates).authority.encode(), *shown)
        return grpc.aio.secure_channel(
            f"127.0.0.1:{plane.xds_port}",
            credentials,
            options=[("grpc.ssl_target_name_override", SERVER), ("grpc.use_local_subchannel_pool", 1)],
        )
