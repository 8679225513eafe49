"""The models' processes, from the tests' side."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Self, cast

from tests.envoy_process import free_port

_PROGRAM = Path(__file__).with_name("model.py")


@dataclass(frozen=True)
class Heard:
    """A request as a model got it; the names of `headers` are in lower case."""

    model: str
    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def name(self) -> str:
        """The name of the model in the policy, as the gateway tells it."""
        return self.headers["x-fairlead-model"]

    @property
    def revision(self) -> str:
        return self.headers["x-fairlead-revision"]


class ModelProcess:
    """One model. It may be killed and started again on the same port. A context manager.

    What it needs to speak TLS is in a folder of that name, and read at each start; see `model.py`.
    """

    def __init__(self, name: str, folder: Path, tls: Path | None = None) -> None:
        self.name = name
        self.port = free_port()
        self._tls = tls
        self._log = folder / f"{name}.log"
        self._log.touch()
        self._read = 0
        self._heard: list[Heard] = []
        self._reading = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    @property
    def address(self) -> str:
        """As a backend's address is declared."""
        return f"{'https://' if self._tls else ''}127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it listens."""
        tls = [] if self._tls is None else [self._tls]
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", _PROGRAM, self.name, str(self.port), self._log, *tls],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.be("well")

    def be(self, mood: str) -> None:
        """Have it do something else from now on; see `model.py`."""
        assert self._process is not None
        orders, answers = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        orders.write(f"{mood}\n")
        orders.flush()
        assert answers.readline() == f"{mood}\n"

    def kill(self) -> None:
        """End it without a word: what it had in hand is lost."""
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            cast(IO[str], pipe).close()
        self._process = None

    def heard(self) -> list[Heard]:
        """The requests that it got over all its lives, in order."""
        with self._reading, self._log.open("rb") as log:
            log.seek(self._read)
            whole, end, _ = log.read().rpartition(b"\n")
            self._read += len(whole) + len(end)
            self._heard += [Heard(**json.loads(line)) for line in whole.splitlines()]
            return list(self._heard)

    def asked(self) -> Counter[str]:
        """How often it was asked for what, as `GET /path`, over all its lives."""
        return Counter(f"{each.method} {each.target}" for each in self.heard())
