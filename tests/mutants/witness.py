"""A pytest plugin that ends a run which imports `xds_server` from anywhere but the copy that is on trial."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mutants.trial import COPY_VARIABLE, VERSION

_RETURN_CODE = 3


def pytest_sessionstart() -> None:
    """The command that tests run as a process of its own is the copy's, too."""
    command = [str(Path(sys.executable).with_name("fairlead")), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    if VERSION not in said:
        pytest.exit(f"`fairlead` is not the copy's: {said}", _RETURN_CODE)


def pytest_sessionfinish() -> None:
    """What the tests themselves imported, all of it."""
    copy = os.environ[COPY_VARIABLE]
    loaded = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "xds_server"}
    strangers = sorted(
        name for name, module in loaded.items() if not (module.__file__ or "").startswith(f"{copy}{os.sep}")
    )
    if strangers or not loaded:
        pytest.exit(f"not imported from {copy}: {strangers or 'xds_server'}", _RETURN_CODE)
