"""Journals: small states that move at run time, each a JSON file of its own beside the last good state.

live/policies-1f0c9e2a/rollouts.json
"""

from __future__ import annotations

import json
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_FORMAT: Final = 1
_OTHERS_MAY_WRITE: Final = 0o022


class JournalError(Exception):
    """A journal that cannot be used: which, why, and what to do about it."""


class Journal:
    """One file, written whole or not at all. Nothing is made before something is written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any]:
        """What was written last; nothing if nothing was. Raises ``JournalError``; what is no journal is set aside."""
        try:
            if stat.S_IMODE(self.path.stat().st_mode) & _OTHERS_MAY_WRITE:
                raise JournalError(f"{self.path}: other users can write it, so it is not used; chmod go-w it")
            text = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise JournalError(
                f"{self.path} cannot be read: {error.strerror}; mend it, and restart"
            ) from error
        try:
            found = json.loads(text)
            entries = found.get("entries") if isinstance(found, dict) else None
            if not isinstance(entries, dict) or found["format"] != _FORMAT:
                raise ValueError("it is of another form")
            return entries
        except (KeyError, ValueError, RecursionError) as error:
            raise JournalError(f"{self.path} is no journal: {error}; {self._set_aside()}") from error

    def write(self, entries: Mapping[str, Any]) -> None:
        """Put entries in the place of those before, so that they outlive a power cut. Raises ``OSError``."""
        for folder in reversed((self.path.parent, *self.path.parent.parents)):
            if not folder.exists():  # one by one: of parents made along, others might be let write
                folder.mkdir(mode=0o700, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.{secrets.token_hex(4)}.draft")
        text = json.dumps({"format": _FORMAT, "entries": entries}, sort_keys=True)
        try:
            with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        descriptor = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _set_aside(self) -> str:
        aside = self.path.with_name(f"{self.path.name}.set-aside-{secrets.token_hex(3)}")
        try:
            self.path.rename(aside)
        except OSError as error:
            return f"it cannot be set aside either ({error.strerror}); delete it"
        return f"it is set aside as {aside.name}"
