"""The product as it runs: `fairlead serve` and `fairlead envoy run`, each a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

FAIRLEAD = str(Path(sys.executable).with_name("fairlead"))
PATIENCE = 300.0


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Stack:
    """A control plane and one Envoy in eu-west-3 over a policy folder; logs go to the given folder."""

    def __init__(self, policies: Path, work: Path) -> None:
        self._policies = policies
        self._work = work
        self._environment = {**os.environ, "FAIRLEAD_STATE": str(work / "state")}
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        xds, admin, envoy_admin = free_port(), free_port(), free_port()
        at = f"127.0.0.1:{xds}"
        self._spawn("serve", "serve", str(self._policies), "--xds", at, "--admin", f"127.0.0.1:{admin}")
        self._spawn(
            "envoy", "envoy", "run", "--gateway", "edge", "--region", "eu-west-3", "--xds", at,
            "--admin-port", str(envoy_admin), "--", "--concurrency", "1", "--log-level", "error",
        )  # fmt: skip
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in reversed(self._processes):
            process.send_signal(signal.SIGTERM)
        for process in self._processes:
            process.wait()

    def token(self) -> str:
        """A token of the development issuer for the workspace."""
        command = [FAIRLEAD, "token", "create", "--workspace", "acme"]
        return subprocess.run(
            command, check=True, capture_output=True, text=True, env=self._environment
        ).stdout.strip()

    def wait_until_open(self, port: int) -> None:
        """Wait until Envoy listens on the port."""
        limit = time.monotonic() + PATIENCE
        while True:
            for process in self._processes:
                if process.poll() is not None:
                    raise RuntimeError(f"{process.args} ended; see the logs in {self._work}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                if time.monotonic() > limit:
                    raise
                time.sleep(0.05)

    def _spawn(self, name: str, *arguments: str) -> None:
        with (self._work / f"{name}.log").open("wb") as log:
            self._processes.append(
                subprocess.Popen([FAIRLEAD, *arguments], stdout=log, stderr=log, env=self._environment)
            )
