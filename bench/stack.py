"""The product as it runs: `fairlead serve` and `fairlead envoy run`, each a process of its own."""

from __future__ import annotations

import os
import subprocess
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.process import Process, Processes, free_port
from bench.program import FAIRLEAD


class Stack:
    """A control plane and, unless told otherwise, one Envoy in eu-west-3 over a policy folder.

    Logs and state go to the folder `work`. Further processes may be started through `processes`; all end with it.
    """

    plane: Process
    envoy: Process

    def __init__(self, policies: Path, work: Path, *, envoy: bool = True) -> None:
        self.processes = Processes(work)
        self.xds, self.admin, self.envoy_admin = free_port(), free_port(), free_port()
        self._policies = policies
        self._with_envoy = envoy
        self._environment = {"FAIRLEAD_STATE": str(work / "state")}

    def __enter__(self) -> Self:
        try:
            self.start_plane()
            if self._with_envoy:
                self.start_envoy()
        except BaseException:
            self.processes.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.processes.__exit__(kind, error, trace)

    def start_plane(self) -> None:
        """Start the control plane; it may have been ended before."""
        ports = ("--xds", f"127.0.0.1:{self.xds}", "--admin", f"127.0.0.1:{self.admin}")
        command = [FAIRLEAD, "serve", str(self._policies), *ports]
        self.plane = self.processes.start("serve", command, environment=self._environment)

    def start_envoy(self) -> None:
        """Start the Envoy, with one worker; it may have been ended before."""
        place = ("--gateway", "edge", "--region", "eu-west-3", "--xds", f"127.0.0.1:{self.xds}")
        own = ("--admin-port", str(self.envoy_admin), "--", "--concurrency", "1", "--log-level", "error")
        # The access log is a line a request on standard output: it goes to a file, as anywhere.
        command = [FAIRLEAD, "envoy", "run", *place, *own]
        self.envoy = self.processes.start("envoy", command, environment=self._environment)

    def wait_until_open(self, port: int) -> None:
        """Wait until Envoy listens on the port."""
        self.processes.wait_open(port)

    def wait_until_ready(self) -> None:
        """Wait until the control plane serves its first configuration."""
        self.processes.wait(lambda: _answers(f"http://127.0.0.1:{self.admin}/readyz"), "/readyz answered 200")

    def sent(self) -> int:
        """Bytes of all responses that the control plane has sent so far, by its own count."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.admin}/metrics", timeout=30) as answer:
            lines = answer.read().decode().splitlines()
        counted = [line for line in lines if line.startswith("fairlead_xds_response_bytes_total{")]
        return int(sum(float(line.rpartition(" ")[2]) for line in counted))

    def token(self) -> str:
        """A token of the development issuer for the workspace."""
        command = [FAIRLEAD, "token", "create", "--workspace", "acme"]
        environment = {**os.environ, **self._environment}
        return subprocess.run(
            command, check=True, capture_output=True, text=True, env=environment
        ).stdout.strip()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False
