from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from xds_server import __version__

from .conftest import FAIRLEAD, PATIENCE, Run

HEAVY = (
    *("envoy_data_plane", "grpc", "betterproto2", "yaml", "uvicorn", "httpx", "watchfiles"),
    *(f"xds_server.{room}" for room in ("policy", "graph", "compiler", "protocol", "server", "sources")),
)

INTERRUPTED_LOADING = """
import os, signal, sys
from xds_server.cli import main

class Interrupt:
    def find_spec(self, name, *_):
        if name == "xds_server.cli.app":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
main()
"""


def test_version_is_data(fairlead: Run) -> None:
    done = fairlead("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"fairlead {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments", [(), ("nonsense",), ("--nonsense",), ("token",), ("token", "create", "--nonsense"), ("run",)]
)
def test_wrong_usage_exits_64(fairlead: Run, arguments: tuple[str]) -> None:
    assert fairlead(*arguments).returncode == 64


def test_ctrl_c_while_the_commands_are_loaded_is_quiet(environment: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED_LOADING],
        check=False,
        capture_output=True,
        text=True,
        env=environment,
        timeout=PATIENCE,
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize(
    "arguments", [("--help",), ("-h",), ("token", "create", "-h"), ("run", "model", "-h")]
)
def test_help_exits_0_and_shows_examples_on_stdout(fairlead: Run, arguments: tuple[str]) -> None:
    done = fairlead(*arguments)
    assert done.returncode == 0
    assert done.stderr == ""
    assert "fairlead" in done.stdout.split("Usage:")[1]
    if len(arguments) > 1:
        assert "Examples:" in done.stdout
    else:
        assert "0 it worked; 1 the work failed; 64" in done.stdout


def test_completion_can_be_shown(fairlead: Run) -> None:
    done = fairlead(
        env={"_FAIRLEAD_COMPLETE": "complete_bash", "COMP_WORDS": "fairlead tok", "COMP_CWORD": "1"}
    )
    assert (done.returncode, done.stdout.split()) == (0, ["token"])


@pytest.mark.parametrize(("no_color", "coloured"), [("1", False), ("", True)])
def test_no_color_is_honoured_on_a_terminal(
    environment: dict[str, str], tmp_path: Path, no_color: str, coloured: bool
) -> None:
    """Errors are coloured on a terminal, unless ``NO_COLOR`` is set to anything."""
    (tmp_path / "file").touch()
    env = {
        **environment,
        "TERM": "xterm",
        "NO_COLOR": no_color,
        "FAIRLEAD_STATE": str(tmp_path / "file" / "x"),
    }
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as terminal:
        command = [FAIRLEAD, "token", "create", "-w", "acme"]
        process = subprocess.Popen(command, env=env, stderr=theirs, cwd=tmp_path)
        assert process.wait(PATIENCE) == 1
        os.close(theirs)
        shown = terminal.read(4096)
    assert b"error:" in shown
    assert (b"\x1b[" in shown) is coloured


def test_the_command_line_is_put_together_without_the_rooms() -> None:
    """What makes a start slow is imported by the command that needs it."""
    probe = f"import sys, xds_server.cli.app; print([m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# `envoy run` makes its bootstrap as `envoy bootstrap` does, before it becomes Envoy.
@pytest.mark.parametrize(
    "command",
    ["token create -w acme", "envoy bootstrap -g public -r eu-west-3 -o json"],
    ids=["token", "bootstrap"],
)
def test_a_token_and_a_bootstrap_are_made_without_the_rooms(
    command: str, environment: dict[str, str], tmp_path: Path
) -> None:
    probe = (
        "import sys, atexit; from xds_server.cli import main; "
        f"atexit.register(lambda: print([m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)); main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe, *command.split()],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path,
        check=True,
    )
    assert done.stderr.strip() == "[]"
