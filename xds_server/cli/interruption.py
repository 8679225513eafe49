"""Being asked to stop: SIGINT (Ctrl-C), SIGTERM and SIGHUP, gently the first time and at once the second."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Final

from xds_server.cli.outcome import INTERRUPTED

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interruption:
    """Waits for a signal to stop.

    ``tell`` is called with the name of the first one, ``at_once`` when a second one comes, just before the
    process ends.
    """

    def __init__(self, tell: Callable[[str], None], at_once: Callable[[], None] = lambda: None) -> None:
        self._tell = tell
        self._at_once = at_once
        self._asked = asyncio.Event()

    def listen(self) -> None:
        """Take the signals over, on the main thread with the loop running.

        SIGHUP stays ignored where it was (``nohup``). SIGINT does not: a shell script ignores it for what it
        starts in the background, and then nothing but a kill could stop us gently.
        """
        loop = asyncio.get_running_loop()
        for number in SIGNALS:
            if number is signal.SIGHUP and signal.getsignal(number) is signal.SIG_IGN:
                continue
            loop.add_signal_handler(number, self._handle, number)

    async def wait(self) -> None:
        """Wait for the first signal."""
        await self._asked.wait()

    def _handle(self, number: signal.Signals) -> None:
        if self._asked.is_set():
            self._at_once()
            os._exit(INTERRUPTED)
        self._asked.set()
        self._tell(number.name)
