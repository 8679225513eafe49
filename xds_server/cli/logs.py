"""The control plane's log for people: one short line an event, in colour only on a terminal."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from xds_server.cli.terminal import paint, say

STYLES: Final = {"warning": "warning", "error": "error", "critical": "error"}


class _Words:
    """Where structlog writes its finished lines."""

    def __init__(self, *_arguments: Any) -> None:
        self.msg = self.debug = self.info = self.warning = self.error = self.critical = self.exception = say


def configure() -> None:
    """Set structlog up for the whole process, at level info, on stderr; the standard library's for warnings."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.format_exc_info, _in_words],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=_Words,
        cache_logger_on_first_use=False,
    )


def _in_words(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> str:
    """Write one event as a line: the time, what happened, and the rest as name=value."""
    level, words = str(event.pop("level")), str(event.pop("event"))
    trouble = event.pop("exception", None)
    rest = "".join(f"  {name}={value}" for name, value in event.items())
    line = f"{datetime.now(UTC):%H:%M:%S} {paint(words, STYLES.get(level), sys.stderr)}{rest}"
    return f"{line}\n{trouble}" if trouble else line
