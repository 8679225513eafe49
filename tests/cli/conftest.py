from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.envoy_process import free_port
from xds_server.cli import main

__all__ = ["FAIRLEAD", "PATIENCE", "Run", "free_port", "sample_model", "wait_for_end"]

FAIRLEAD = Path(sys.executable).with_name("fairlead")
PATIENCE = 120.0
"""Seconds after which a condition that does not come true fails the test; none of them is waited out."""

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """The environment of the commands under test: its own state folder, nothing of the developer's."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FAIRLEAD_")}
    for name in ("NO_COLOR", "FORCE_COLOR", "PY_COLORS", "GITHUB_ACTIONS"):
        kept.pop(name, None)
    return {**kept, "FAIRLEAD_STATE": str(tmp_path / "state"), "COLUMNS": "200"}


@pytest.fixture
def fairlead(environment: dict[str, str], tmp_path: Path) -> Run:
    """Run the installed command to its end."""

    def run(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
        extra = options.pop("env", {})
        assert isinstance(extra, dict)
        return subprocess.run(
            [FAIRLEAD, *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=options.pop("cwd", tmp_path),
            env={**environment, **extra},
            timeout=PATIENCE,
            check=False,
            **options,  # type: ignore[call-overload]
        )

    return run


@pytest.fixture
def inside(
    environment: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Run:
    """Run the command in this process: what it imports is paid for once, not with every test."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ.keys() - environment.keys():
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = ["fairlead", *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", command)
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main()
        shown = capsys.readouterr()
        code = exit_.value.code
        assert code is None or isinstance(code, int)
        return subprocess.CompletedProcess(command, code or 0, shown.out, shown.err)

    return run


def wait_for_end(pid: int) -> None:
    """Wait until a process that may not be our child has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        ready, _, _ = select.select([descriptor], [], [], PATIENCE)
        assert ready, f"process {pid} is still running"
    finally:
        os.close(descriptor)


@contextmanager
def sample_model(**options: str) -> Iterator[str]:
    """Run the sample model server and give its base address; requests wait in the backlog until it is up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        process = subprocess.Popen(
            [sys.executable, "-m", "xds_server.cli.sample_model", "--fd", str(listener.fileno()), *arguments],
            pass_fds=[listener.fileno()],
        )
    try:
        base = f"http://127.0.0.1:{port}"
        with urllib.request.urlopen(f"{base}/health", timeout=PATIENCE) as answer:
            assert answer.status == 200
        yield base
    finally:
        process.terminate()
        process.wait(PATIENCE)
