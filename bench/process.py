"""Processes of a measurement: each is started here and ended here, by its pid, whatever happens in between."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

GRACE = 10.0
"""Seconds that a process has to end after SIGTERM, before it is killed."""
QUIET = 0.05
"""Seconds of CPU in two seconds that count as rest."""
PATIENCE = 300.0
"""Seconds until something that does not happen is an error."""

_PAGE = os.sysconf("SC_PAGE_SIZE")
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

Found = TypeVar("Found")


class Process:
    """One running program with its own session, so that Ctrl-C in the terminal reaches only the benchmark."""

    def __init__(
        self,
        command: Sequence[str | Path],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        talk: bool = False,
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                [str(each) for each in command],
                stdin=subprocess.PIPE if talk else subprocess.DEVNULL,
                stdout=subprocess.PIPE if talk else output,
                stderr=output,
                env={**os.environ, **(environment or {})},
                cwd=directory,
                start_new_session=True,
                # Should the benchmark itself be killed, nobody else would end it.
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - there are no threads here
            )

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def running(self) -> bool:
        return self._popen.poll() is None

    def tell(self, line: str) -> None:
        """Write a line to its standard input (with `talk`)."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(line.encode() + b"\n")
        self._popen.stdin.flush()

    def hear(self) -> str:
        """Read a line of its standard output (with `talk`)."""
        assert self._popen.stdout is not None
        line = self._popen.stdout.readline().decode()
        if not line:
            raise RuntimeError(f"{self.log.stem} ended:\n{self.tail()}")
        return line

    def tail(self) -> str:
        """The end of what it wrote."""
        return self.log.read_text(errors="replace")[-2000:]

    def end(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it and what it started, and wait until it is gone."""
        if self.running:
            self._popen.send_signal(how)
        try:
            with suppress(subprocess.TimeoutExpired):
                self._popen.wait(GRACE)
        finally:
            # Its own session is its process group too: workers that it left behind are in it.
            _kill_group(self._popen.pid)
            self._popen.wait()
        for pipe in (self._popen.stdin, self._popen.stdout):
            if pipe is not None:
                pipe.close()

    def resident(self) -> int:
        """Memory that it occupies, in bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * _PAGE

    def rest(self) -> None:
        """Wait until it has come to rest, a minute at most: what it does in the background is done."""
        limit = time.monotonic() + 60
        while time.monotonic() < limit:
            before = self.worked()
            time.sleep(2)
            if self.worked() - before < QUIET:
                return

    def worked(self) -> float:
        """Seconds of CPU that it used, all threads that still live, to the nanosecond."""
        parts = Path(f"/proc/{self.pid}/task").glob("*/schedstat")
        return sum(int(each.read_text().split()[0]) for each in parts) / 1e9


class Processes:
    """A context manager that starts processes, and ends them in reverse."""

    def __init__(self, work: Path) -> None:
        self.work = work
        self._all: list[Process] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with ExitStack() as ending:  # what goes wrong with one keeps none of the others
            for process in self._all:
                ending.callback(process.end)

    def start(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        talk: bool = False,
    ) -> Process:
        """Start a program whose log is `name`.log in the work folder."""
        log = self.work / f"{name}.log"
        process = Process(command, log, environment=environment, directory=directory, talk=talk)
        self._all.append(process)
        return process

    def wait(
        self, condition: Callable[[], Found], what: str, every: float = 0.005, patience: float = PATIENCE
    ) -> Found:
        """The first true value of a condition, asked until the patience is over or a process has ended."""
        limit = time.monotonic() + patience
        while not (found := condition()):
            for process in self._all:
                if not process.running and process.log.exists():
                    raise RuntimeError(f"{process.log.stem} ended before {what}:\n{process.tail()}")
            if time.monotonic() > limit:
                raise TimeoutError(f"{what} took more than {patience:.0f} s; logs in {self.work}")
            time.sleep(every)
        return found

    def wait_open(self, port: int) -> None:
        """Wait until something listens on the loopback port."""
        self.wait(lambda: is_open(port), f"port {port} was open")

    def forget(self, process: Process) -> None:
        """End a process and no longer expect it to live."""
        process.end()
        self._all.remove(process)


def is_open(port: int) -> bool:
    """Whether something listens on the loopback port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _kill_group(group: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, signal.SIGKILL)
