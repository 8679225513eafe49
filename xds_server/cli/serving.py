"""``fairlead serve``: the control plane by itself, for a fleet of Envoys."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from xds_server.cli import port, terms
from xds_server.cli.duration import seconds
from xds_server.cli.interruption import Interruption
from xds_server.cli.outcome import CommandError
from xds_server.cli.plane import Address, require_ports, running
from xds_server.cli.state import folder as default_state

if TYPE_CHECKING:
    from xds_server.archive import Archive
    from xds_server.cli.policies import DevelopmentSource

EXAMPLES: Final = """Examples:

  fairlead serve policies/quickstart

  fairlead serve /etc/fairlead/policies --xds 0.0.0.0:18000 --admin 0.0.0.0:18001 --log-format json

  fairlead serve /etc/fairlead/policies --state /var/lib/fairlead --guard 0.8

  fairlead serve /etc/fairlead/policies --xds 0.0.0.0:18000 \\
      --xds-certificate xds.pem --xds-key xds.key --xds-client-ca fleet-ca.pem
"""
XDS: Final = "127.0.0.1:18000"
ADMIN: Final = "127.0.0.1:18001"
GRACE_SECONDS: Final = 5.0
"""How long open streams may take to end; Envoys keep what they have and come back."""

SHARE: Final = 0.5
"""What may vanish at once without being asked for: up to this share of all clusters, and of all listeners."""

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


def share(text: str) -> float | None:
    """Read a share such as 0.8; ``None`` for ``off``."""
    if text == "off":
        return None
    try:
        found = float(text)
    except ValueError:
        found = -1
    if not 0 < found <= 1:
        raise typer.BadParameter(f"{text!r} is neither a share such as 0.5 nor off", param_hint="--guard")
    return found


def serve(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="The folder that holds the policies.", show_default=False),
    ],
    *,
    xds: Xds = XDS,
    admin: Admin = ADMIN,
    log_format: Annotated[
        LogFormat, typer.Option("--log-format", help="How the log is written; auto is text on a terminal.")
    ] = LogFormat.AUTO,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state",
            help="Where the last good state is kept; FAIRLEAD_STATE, or .fairlead, if left out.",
            show_default=False,
        ),
    ] = None,
    no_state: Annotated[
        bool, typer.Option("--no-state", help="Keep the last good state in memory only.")
    ] = False,
    guard: Annotated[
        str,
        typer.Option(
            "--guard",
            metavar="SHARE|off",
            help="Ask before more than this share of all clusters, or of all listeners, vanishes at once.",
        ),
    ] = str(SHARE),
    xds_certificate: terms.Certificate = None,
    xds_key: terms.Key = None,
    xds_client_ca: terms.ClientCa = None,
    max_streams: terms.MaxStreams = terms.MAX_STREAMS,
    first_exchanges: terms.FirstExchanges = terms.FIRST_EXCHANGES,
    max_stream_age: terms.MaxStreamAge = None,
    load_interval: terms.LoadInterval = terms.LOAD_INTERVAL,
    registration: terms.Registration = None,
    registration_token: terms.RegistrationToken = None,
) -> None:
    """Serve a policy set to a fleet of Envoys over xDS, and again whenever it changes.

    Mistakes in the policies don't end it: they are logged, and what they concern stays as it last was, over a
    restart too. It ends with SIGTERM or Ctrl-C; the Envoys go on with what they have.
    """
    from xds_server.cli.policies import open_source

    if state is not None and no_state:
        raise typer.BadParameter("it goes with --state as little as no with yes", param_hint="--no-state")
    asked = share(guard)
    chosen = terms.Terms(
        certificate=xds_certificate,
        key=xds_key,
        client_ca=xds_client_ca,
        max_streams=max_streams,
        first_exchanges=first_exchanges,
        max_stream_age=None if max_stream_age is None else seconds(max_stream_age, "--max-stream-age"),
        load_interval=seconds(load_interval, "--load-interval"),
        registration=registration,
        registration_token=registration_token,
    )
    if registration is not None:
        address(registration, "--registration")
    xds_address, admin_address = address(xds, "--xds"), address(admin, "--admin")
    require_ports(xds_address, admin_address)
    _configure_log(log_format)
    archive = None if no_state else _open_archive(state or default_state(), path)
    source = open_source(path)
    if archive is None or not archive.holds_records():
        _require_readable(source, path)
    asyncio.run(_serve(source, xds_address, admin_address, archive=archive, guard=asked, chosen=chosen))


def _open_archive(state: Path, policies: Path) -> Archive:
    from xds_server.archive import Archive

    if state.exists() and not state.is_dir():
        remedy = "choose a folder with --state, or go without with --no-state"
        raise CommandError(f"{state} is no folder to keep the last good state in", remedy)
    return Archive(state, policies)


def _require_readable(source: DevelopmentSource, path: Path) -> None:
    """End the command for policies that can't be read at all, or lack their key, where nothing else can be served."""
    try:
        source.read()
    except FileNotFoundError as error:
        raise typer.BadParameter(f"Path '{path}' does not exist.", param_hint="PATH") from error
    except OSError as error:
        raise CommandError(f"the policies in {path} cannot be read: {error.strerror or error}") from error


def _configure_log(form: LogFormat) -> None:
    if form is LogFormat.JSON or (form is LogFormat.AUTO and not sys.stderr.isatty()):
        from xds_server.server import configure

        configure(as_json=True)
    else:
        from xds_server.cli import logs

        logs.configure()


async def _serve(
    source: DevelopmentSource,
    xds: Address,
    admin: Address,
    *,
    archive: Archive | None,
    guard: float | None,
    chosen: terms.Terms,
) -> None:
    import structlog

    log = structlog.get_logger("fairlead.serve")
    interruption = Interruption(lambda name: log.info("stopping", signal=name))
    interruption.listen()
    stop = asyncio.create_task(interruption.wait(), name="interruption")
    serving = running(source, xds, admin, GRACE_SECONDS, archive=archive, guard=guard, terms=chosen)
    async with serving as (_, pipeline):
        await asyncio.wait({stop, pipeline}, return_when=asyncio.FIRST_COMPLETED)
        if pipeline.done():
            pipeline.result()
    stop.cancel()
