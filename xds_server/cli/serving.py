"""``fairlead serve``: the control plane by itself, for a fleet of Envoys."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final

import typer

from xds_server.cli import port
from xds_server.cli.interruption import Interruption
from xds_server.cli.plane import Address, require_ports, running
from xds_server.cli.validation import PolicyPath

if TYPE_CHECKING:
    from xds_server.cli.policies import DevelopmentSource

EXAMPLES: Final = """Examples:

  fairlead serve policies/quickstart

  fairlead serve /etc/fairlead/policies --xds 0.0.0.0:18000 --admin 0.0.0.0:18001 --log-format json
"""
XDS: Final = "127.0.0.1:18000"
ADMIN: Final = "127.0.0.1:18001"
GRACE_SECONDS: Final = 5.0
"""How long open streams may take to end; Envoys keep what they have and come back."""

Xds = Annotated[str, typer.Option("--xds", help="Where Envoys reach the control plane, as host:port.")]
Admin = Annotated[
    str, typer.Option("--admin", help="Where /metrics, /healthz and /readyz are, as host:port.")
]


class LogFormat(StrEnum):
    """How the log is written."""

    AUTO = "auto"
    TEXT = "text"
    JSON = "json"


def address(text: str, option: str) -> tuple[str, int]:
    """Read host:port of an option; anything else is wrong usage."""
    try:
        return port.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error


def serve(
    path: PolicyPath,
    *,
    xds: Xds = XDS,
    admin: Admin = ADMIN,
    log_format: Annotated[
        LogFormat, typer.Option("--log-format", help="How the log is written; auto is text on a terminal.")
    ] = LogFormat.AUTO,
) -> None:
    """Serve a policy set to a fleet of Envoys over xDS, and again whenever it changes.

    Mistakes in the policies don't end it: they are logged, and what they concern stays as it last was. It
    ends with SIGTERM or Ctrl-C; the Envoys go on with what they have.
    """
    from xds_server.cli.policies import open_source

    xds_address, admin_address = address(xds, "--xds"), address(admin, "--admin")
    require_ports(xds_address, admin_address)
    _configure_log(log_format)
    source = open_source(path)
    source.read()  # what can't be read at all, or lacks its key, ends the command here
    asyncio.run(_serve(source, xds_address, admin_address))


def _configure_log(form: LogFormat) -> None:
    if form is LogFormat.JSON or (form is LogFormat.AUTO and not sys.stderr.isatty()):
        from xds_server.server import configure

        configure(json=True)
    else:
        from xds_server.cli import logs

        logs.configure()


async def _serve(source: DevelopmentSource, xds: Address, admin: Address) -> None:
    import structlog

    log = structlog.get_logger("fairlead.serve")
    interruption = Interruption(lambda name: log.info("stopping", signal=name))
    interruption.listen()
    stop = asyncio.create_task(interruption.wait(), name="interruption")
    async with running(source, xds, admin, GRACE_SECONDS) as (_, pipeline):
        await asyncio.wait({stop, pipeline}, return_when=asyncio.FIRST_COMPLETED)
        if pipeline.done():
            pipeline.result()
    stop.cancel()
