"""The state folder: what one machine keeps for itself (the development issuer's key), closed to everybody
else.

``FAIRLEAD_STATE`` names it; otherwise it is ``.fairlead/`` in the current folder. The folder is made with
mode 700, a file in it with mode 600.
"""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path
from typing import Final

from xds_server.cli.outcome import CommandError

VARIABLE: Final = "FAIRLEAD_STATE"
DEFAULT: Final = ".fairlead"


def folder() -> Path:
    """Return where the state folder is, whether it exists or not."""
    return Path(os.environ.get(VARIABLE) or DEFAULT)


def prepare(path: Path) -> None:
    """Make the state folder with mode 700, or check that the one which is there can't be written by others.

    Raises ``CommandError`` if it can't be made, or if another user could swap the files in it.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        mode = stat.S_IMODE(path.stat().st_mode)
    except OSError as error:
        raise CommandError(
            f"cannot make the state folder {path}: {error.strerror or error}",
            f"run in a folder you can write to, or set {VARIABLE} to such a folder",
        ) from error
    if mode & 0o022:
        raise CommandError(
            f"the state folder {path} can be written by other users (mode {mode:03o})",
            f"chmod 700 {path}",
        )


def read_secret(path: Path) -> bytes | None:
    """Return the content of a secret file, or ``None`` if there is none; raises ``CommandError`` if others
    may read it.

    The mode is read from the opened file, so that it belongs to the very bytes which are returned.
    """
    try:
        with path.open("rb") as file:
            mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
            if mode & 0o077:
                raise CommandError(
                    f"{path} is a private key that other users may use (mode {mode:03o})",
                    f"chmod 600 {path}; if somebody may have read it, delete it, and a new one is made",
                )
            return file.read()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise CommandError(f"cannot read {path}: {error.strerror or error}") from error


def create_secret(path: Path, content: bytes) -> bool:
    """Write ``content`` to ``path`` with mode 600, whole or not at all; ``False`` if another process was
    first.

    The file is written under a name of its own and then *linked* to its final one: unlike a rename, a link
    fails when the name is taken, so of two processes that start at once exactly one wins and both then read
    the same key.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.link(draft, path)
        finally:
            draft.unlink()
    except FileExistsError:
        return False
    except OSError as error:
        raise CommandError(
            f"cannot write {path}: {error.strerror or error}",
            f"run in a folder you can write to, or set {VARIABLE} to such a folder",
        ) from error
    return True
