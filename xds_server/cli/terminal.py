"""The two output streams: data on stdout for the next program, words on stderr for the reader.

Colour only where it helps: on a terminal, with ``NO_COLOR`` unset or empty (https://no-color.org) and
``TERM`` not ``dumb``. Every write is flushed, so that a pipe sees a line when it is written and not when a
buffer is full.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Final, TextIO

STYLES: Final = {"error": "1;31", "warning": "33", "good": "32", "strong": "1", "faint": "2"}


def put(text: str) -> None:
    """Write one piece of data to stdout, with a newline."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say(text: str, style: str | None = None) -> None:
    """Write words for a person to stderr, with a newline; ``style`` is one of ``STYLES``.

    Words that can't be written (the terminal or the pipe is closed, the disk is full) are lost: there is nobody to
    tell, and it must keep us neither from the work nor from tidying up after it.
    """
    with suppress(OSError):
        sys.stderr.write(f"{paint(text, style, sys.stderr)}\n")
        sys.stderr.flush()


def complain(message: str, hint: str | None = None) -> None:
    """Say that something failed, and what to do about it."""
    say(f"{paint('error:', 'error', sys.stderr)} {message}")
    if hint:
        say(f"  {paint('hint:', 'strong', sys.stderr)} {hint}")


def paint(text: str, style: str | None, stream: TextIO) -> str:
    """Wrap ``text`` in the escape codes of ``style`` where ``stream`` shows them, else return it as it is."""
    if style is None or not colourful(stream):
        return text
    return f"\x1b[{STYLES[style]}m{text}\x1b[0m"


def colourful(stream: TextIO) -> bool:
    """Tell whether escape codes may be written to ``stream``."""
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and stream.isatty()
