"""Structured logs on stderr: for people on a terminal, JSON elsewhere."""

from __future__ import annotations

import logging
import os
import sys
from typing import TextIO

import structlog


def configure(level: str = "info", *, stream: TextIO | None = None, json: bool | None = None) -> None:
    """Set logging up for the process. `json` is decided by whether the stream is a terminal, unless given.

    Raises `ValueError` when `level` is not the name of one.
    """
    target = sys.stderr if stream is None else stream
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"{level!r} is not a log level")
    as_json = not target.isatty() if json is None else json
    renderer: structlog.typing.Processor
    shown: list[structlog.typing.Processor] = []
    if as_json:
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
    structlog.configure(
        processors=[structlog.processors.add_log_level, stamp, failure, *shown, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=max(number, logging.WARNING), stream=target, format="%(message)s")


def _leave_out_nothing(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """Without what is `None`: a person reads `hint=None` as a hint. Programs get it as null."""
    return {key: value for key, value in event.items() if value is not None}
