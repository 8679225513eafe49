"""Structured logs on stderr: for people on a terminal, JSON elsewhere."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Callable
from threading import Lock
from typing import TextIO

import structlog


class Lines:
    """Where finished lines go, one whole line at a time from any thread.

    A line that can't be written (a full disk, a reader that is gone) is lost, and counted: a log must not end what it
    is about. How many were lost is told before the first line that can be written again, in the words of `tell`.
    """

    def __init__(self, stream: TextIO, tell: Callable[[int], str]) -> None:
        self.lost = 0
        self._stream = stream
        self._tell = tell
        self._lock = Lock()
        self.msg = self.debug = self.info = self.warning = self.error = self.critical = self.exception = (
            self.write
        )

    def write(self, line: str) -> None:
        """Write a line, or count it as lost."""
        with self._lock:
            before = f"{self._tell(self.lost)}\n" if self.lost else ""
            try:
                self._stream.write(f"{before}{line}\n")
                self._stream.flush()
            except (OSError, ValueError):  # ValueError: the stream is closed
                self.lost += 1
            else:
                self.lost = 0


def configure(level: str = "info", *, stream: TextIO | None = None, as_json: bool | None = None) -> None:
    """Set logging up for the process. `as_json` is decided by whether the stream is a terminal, unless given.

    Raises `ValueError` when `level` is not the name of one.
    """
    target = sys.stderr if stream is None else stream
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"{level!r} is not a log level")
    programs = not target.isatty() if as_json is None else as_json
    renderer: structlog.typing.Processor
    shown: list[structlog.typing.Processor] = []
    if programs:
        renderer = structlog.processors.JSONRenderer(sort_keys=True)
        # Without local variables: among them are private keys and tokens.
        frames = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        failure: structlog.typing.Processor = structlog.processors.ExceptionRenderer(frames)
        stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    else:
        shown = [_leave_out_nothing]
        renderer = structlog.dev.ConsoleRenderer(
            colors="NO_COLOR" not in os.environ, exception_formatter=structlog.dev.plain_traceback
        )
        failure = structlog.processors.StackInfoRenderer()
        stamp = structlog.processors.TimeStamper(fmt="%H:%M:%S", utc=False)
    lines = Lines(target, _tell_program if programs else _tell_person)
    structlog.configure(
        processors=[structlog.processors.add_log_level, stamp, failure, *shown, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=target, format="%(message)s")


_LOST = "lines of the log could not be written"


def _tell_program(lost: int) -> str:
    return json.dumps({"event": _LOST, "level": "warning", "lines": lost}, sort_keys=True)


def _tell_person(lost: int) -> str:
    return f"{lost} {_LOST}"


def _leave_out_nothing(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Without what is `None`: a person reads `hint=None` as a hint. Programs get it as null."""
    return {key: value for key, value in event.items() if value is not None}
