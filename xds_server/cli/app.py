"""The ``fairlead`` command line, put together: which commands there are, and how each of them may end."""

from __future__ import annotations

import os
import signal
import sys
from typing import Annotated, Final, NoReturn

import typer

from xds_server.cli import (
    compilation,
    endpoint,
    explanation,
    fleet,
    release,
    request,
    rollout,
    serving,
    token,
    up,
    validation,
)
from xds_server.cli.outcome import FAILED, INTERRUPTED, USAGE, CommandError
from xds_server.cli.terminal import complain, put

TERMINATED: Final = 128 + signal.SIGTERM
EPILOGUE: Final = """Exit codes: 0 it worked; 1 the work failed; 64 the command was used wrongly.

Data goes to stdout, words to stderr. NO_COLOR switches colours off.

Start with: fairlead up policies/quickstart
"""

app = typer.Typer(
    name="fairlead",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EPILOGUE,
)
app.command(epilog=up.EXAMPLES)(up.up)
app.command(epilog=serving.EXAMPLES)(serving.serve)
app.command(epilog=validation.EXAMPLES)(validation.validate)
app.command("compile", epilog=compilation.EXAMPLES)(compilation.compile_)
app.command(epilog=explanation.EXAMPLES)(explanation.explain)
app.command(epilog=release.EXAMPLES)(release.release)
app.add_typer(rollout.app, name="rollout")
app.add_typer(endpoint.app, name="endpoint")
app.add_typer(token.app, name="token")
app.add_typer(request.app, name="run")
app.add_typer(fleet.app, name="envoy")


def _version(wanted: bool) -> None:
    if wanted:
        from xds_server import __version__

        put(f"fairlead {__version__}")
        raise typer.Exit


@app.callback(epilog=EPILOGUE)
def fairlead(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Route inference requests by policy: YAML in, Envoy in every region kept in step over xDS."""


def run() -> NoReturn:
    """Run the command that ``sys.argv`` names and exit with its code.

    A ``CommandError`` becomes an error and a hint on stderr and exit code 1. The code 2 with which Typer
    reports wrong usage becomes 64, as ``sysexits.h`` has it: 2 means something else to too many programs.
    """
    if os.getpid() == 1:  # the kernel gives a container's first process no default: SIGTERM would be lost
        signal.signal(signal.SIGTERM, lambda *_: os._exit(TERMINATED))
    try:
        app()
    except CommandError as error:
        complain(error.message, error.hint)
        sys.exit(FAILED)
    except BrokenPipeError:
        _forget_stdout()
        sys.exit(FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except SystemExit as exit_:
        sys.exit(USAGE if exit_.code == 2 else exit_.code)
    sys.exit()


def _forget_stdout() -> None:
    """Point stdout at nothing once its reader is gone, so that the interpreter's last flush can't fail as
    well.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
