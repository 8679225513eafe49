"""A child process of ``fairlead up``: started on a leash, its last words kept, stopped for certain."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

LEASH: Final = Path(__file__).with_name("leash.py")
TAIL_LINES: Final = 20
LINE_LIMIT: Final = 4096
"""Characters kept of one line of output: what does not fit is cut off, so that no child can fill our memory.
"""
LAST_WORDS_SECONDS: Final = 1.0


class Child:
    """One running child: ``name`` for people, ``pid``, and ``tail``, the last lines it wrote. Made by
    ``start``.
    """

    def __init__(
        self, name: str, process: asyncio.subprocess.Process, on_line: Callable[[str], None] | None
    ) -> None:
        self.name = name
        self.pid = process.pid
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._process = process
        self._on_line = on_line
        self._reading = asyncio.create_task(self._read(), name=f"output of {name}")

    @classmethod
    async def start(
        cls,
        name: str,
        argv: Sequence[str],
        *,
        on_line: Callable[[str], None] | None = None,
        descriptors: Sequence[int] = (),
    ) -> Child:
        """Start ``argv`` (the program as an absolute path) in its own process group, so that a Ctrl-C is ours
        alone.

        Must be called on the main thread, whose end is what the child dies of. ``descriptors`` are the open
        files that the child shall inherit; ``on_line`` is called with each line it writes.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(LEASH),
            str(os.getpid()),
            *argv,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            pass_fds=tuple(descriptors),
            process_group=0,
        )
        return cls(name, process, on_line)

    @property
    def running(self) -> bool:
        """Tell whether the child has not ended yet, as far as is known."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait for the child's end and its last output; return its exit code, negative for a signal."""
        code = await self._process.wait()
        with contextlib.suppress(TimeoutError):  # a grandchild may hold the pipe open
            await asyncio.wait_for(asyncio.shield(self._reading), LAST_WORDS_SECONDS)
        return code

    async def stop(self, grace: float) -> None:
        """Ask the child to end (SIGTERM), and kill its whole group if it has not within ``grace`` seconds."""
        if self.running:
            self._signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(self._process.wait(), grace)
            except TimeoutError:
                self.kill()
        await self.wait()
        self._reading.cancel()

    def kill(self) -> None:
        """Kill the child and whatever it has started, at once."""
        if self.running:
            self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def _read(self) -> None:
        stream = self._process.stdout
        if stream is None:
            raise RuntimeError("a child is always started with its output piped")
        rest = ""
        while chunk := await stream.read(1 << 16):
            *lines, rest = (rest + chunk.decode(errors="replace")).split("\n")
            rest = rest[:LINE_LIMIT]
            for line in lines:
                self._keep(line)
        if rest:
            self._keep(rest)

    def _keep(self, line: str) -> None:
        kept = line.rstrip()[:LINE_LIMIT]
        self.tail.append(kept)
        if self._on_line is not None:
            self._on_line(kept)


def ending(code: int) -> str:
    """Say how a process ended, from its exit code: ``exit code 1``, ``killed by SIGKILL``."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
