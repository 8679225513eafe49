"""The control plane as users run it: a `fairlead serve` process, which can be killed and started again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from tests.e2e.settled import is_calm, is_settled
from tests.envoy_process import EnvoyProcess, free_port, wait_until

STARTED = 90.0
"""Seconds in which a process has started: importing everything is a busy machine's slowest step."""


class Serving:
    """`fairlead serve FOLDER` on ports of its own. A context manager. `program` is run instead of `fairlead serve`,
    with further `options`.

    What it keeps on disk is beside its log, and outlives it.
    """

    def __init__(
        self, folder: Path, log: Path, program: Sequence[str] | None = None, options: Sequence[str] = ()
    ) -> None:
        self.xds_port = free_port()
        self._admin_port = free_port()
        self._folder = folder
        self._log = log
        self.state = log.parent / "state"
        self._program = program or [str(Path(sys.executable).with_name("fairlead")), "serve"]
        self._options = tuple(options)
        self._process: subprocess.Popen[bytes] | None = None
        self._client = httpx.Client(
            trust_env=False, base_url=f"http://127.0.0.1:{self._admin_port}", timeout=20
        )

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException as error:
            # Nobody else ends it: what can't be entered is not left either.
            if self._process is not None:
                self.kill()
            self._client.close()
            error.add_note(self.log[-4000:])
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()
        self._client.close()

    @property
    def log(self) -> str:
        """All that it said, over all its lives."""
        return self._log.read_text(errors="replace")

    def events(self, since: int = 0) -> list[dict[str, Any]]:
        """What it logged from that place of its log on, but for a line that is still being written."""
        whole, _, _ = self.log[since:].rpartition("\n")
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def start(self, *, ready: bool = True) -> None:
        """Start it, and wait until it has something to serve, unless it need not get `ready`."""
        command = [*self._program, str(self._folder), "--log-format", "json"]
        ports = ["--xds", f"127.0.0.1:{self.xds_port}", "--admin", f"127.0.0.1:{self._admin_port}"]
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [*command, *ports, *self._options],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, "FAIRLEAD_STATE": str(self.state)},
            )
        if ready:
            wait_until(
                lambda: self.generation() is not None, "the control plane has something to serve", STARTED
            )
        else:
            wait_until(self._answers, "the control plane answers", STARTED)

    def _answers(self) -> bool:
        try:
            return bool(self.ask("/healthz"))
        except httpx.TransportError:
            return False

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def end(self) -> None:
        """Ask it to end, and wait for it: 0 is the only good way to go."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.terminate()
            assert self._process.wait(40) == 0, self.log[-4000:]

    def kill(self) -> None:
        """End it without a word."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(20)

    @property
    def admin(self) -> str:
        """Host and port of its admin HTTP."""
        return f"127.0.0.1:{self._admin_port}"

    def ask(self, path: str) -> dict[str, Any]:
        """What its admin HTTP says."""
        answer: dict[str, Any] = self._client.get(path).json()
        return answer

    def command(self, *arguments: str) -> tuple[int, str]:
        """Run a `fairlead` command that asks its admin HTTP; the exit code, and what it says."""
        done = subprocess.run(
            [Path(sys.executable).with_name("fairlead"), *arguments, "--admin", self.admin],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=40,
        )
        return done.returncode, done.stdout

    def generation(self) -> int | None:
        """Of what is served; `None` while nothing is."""
        assert self._process is not None
        assert self._process.poll() is None, self.log[-4000:]
        try:
            found: int | None = self.ask("/readyz")["generation"]
        except httpx.TransportError:
            return None
        return found

    def calm(self) -> bool:
        """As `is_calm`."""
        return is_calm(self.ask("/nodes"))

    def settled(self, *nodes: str, after: int = -1, envoys: Mapping[str, EnvoyProcess] | None = None) -> bool:
        """As `is_settled`, and whether what is served is of a generation after that one."""
        told = self.ask("/nodes")
        generation = told["generation"]
        return generation is not None and generation > after and is_settled(told, nodes, envoys)

    def reads(self) -> int:
        """How often it has read the policies. It serves a new generation after each time, and at other times, too."""
        text = self._client.get("/metrics").text
        [count] = [line for line in text.splitlines() if line.startswith("fairlead_load_seconds_count ")]
        return int(float(count.split()[1]))
