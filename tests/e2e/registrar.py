"""Backends that register themselves, from the tests' side: the API, and the sidecar that keeps a lease."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.envoy_process import free_port

TOKEN = "open sesame"


@dataclass(frozen=True)
class Registrar:
    """Where backends register. `folder` is where the token is kept."""

    folder: Path
    port: int = field(default_factory=free_port)

    @property
    def _token(self) -> Path:
        return self.folder / "token"

    def options(self) -> tuple[str, ...]:
        """For `fairlead serve`; the token is there from then on."""
        self._token.touch(0o600)
        self._token.write_text(f"{TOKEN}\n")
        return ("--registration", f"127.0.0.1:{self.port}", "--registration-token", str(self._token))

    def ask(self, slot: str, method: str = "PUT", token: str = TOKEN, **body: Any) -> httpx.Response:
        """Send a request of the API for a slot, as `acme/models/llama/production/v1`."""
        url = f"http://127.0.0.1:{self.port}/v1/endpoints/{slot}"
        headers = {"authorization": f"Bearer {token}"}
        return httpx.request(method, url, json=body, headers=headers, trust_env=False, timeout=20)

    @contextmanager
    def sidecar(self, slot: str, location: str, address: str, *more: str) -> Iterator[subprocess.Popen[str]]:
        """`fairlead endpoint register --heartbeat`, as it runs beside a model; killed in the end."""
        command = [Path(sys.executable).with_name("fairlead"), "endpoint", "register", slot]
        server = ["--server", f"http://127.0.0.1:{self.port}", "--token-file", str(self._token)]
        where = ["--location", location, "--address", address, "--heartbeat", *more]
        process = subprocess.Popen([*command, *server, *where], stderr=subprocess.PIPE, text=True)
        try:
            yield process
        finally:
            process.kill()
            process.communicate(timeout=20)
