"""``fairlead compile``: what the Envoys of one gateway and region are sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from xds_server.cli.document import Format, put_document
from xds_server.cli.member import Variant
from xds_server.cli.outcome import CommandError
from xds_server.cli.published import Published
from xds_server.cli.validation import GatewayChoice, PolicyPath

if TYPE_CHECKING:
    from xds_server.snapshot import Resource, View

EXAMPLES: Final = """Examples:

  fairlead compile policies/quickstart --region eu-west-3

  fairlead compile policies/quickstart -r us-east-1 -t eds -o json
"""
SHORT: Final = {
    "lds": "envoy.config.listener.v3.Listener",
    "srds": "envoy.config.route.v3.ScopedRouteConfiguration",
    "rds": "envoy.config.route.v3.RouteConfiguration",
    "cds": "envoy.config.cluster.v3.Cluster",
    "eds": "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "ecds": "envoy.config.core.v3.TypedExtensionConfig",
    "sds": "envoy.extensions.transport_sockets.tls.v3.Secret",
    "rtds": "envoy.service.runtime.v3.Runtime",
}
PREFIX: Final = "type.googleapis.com/"
HIDDEN: Final = "(hidden)"
SECRET: Final = frozenset({"generic_secret", "private_key"})


def compile_(
    path: PolicyPath,
    *,
    region: Annotated[str, typer.Option("--region", "-r", help="The region of the Envoys.")],
    type_: Annotated[
        str | None,
        typer.Option("--type", "-t", help=f"Only one type: {', '.join(SHORT)}, or a type's full name."),
    ] = None,
    gateway: GatewayChoice = None,
    source: Published = None,
    variant: Annotated[
        Variant, typer.Option("--variant", help="The xDS dialect they speak.")
    ] = Variant.DELTA,
    output: Annotated[Format, typer.Option("--output", "-o", help="The format of the data.")] = Format.YAML,
) -> None:
    """Print the Envoy resources that the policies become, as a list of type, name, version, origin and
    resource.

    What an Envoy fetches with the first request for a model is among them. Private keys and credentials are
    left out. Nothing is printed if the policies have errors.
    """
    from xds_server.cli.policies import choose_gateway, choose_region, compile_catalogue, read
    from xds_server.compiler import show
    from xds_server.snapshot import Audience, Dialect

    wanted = None if type_ is None else PREFIX + SHORT.get(type_.lower(), type_.removeprefix(PREFIX))
    if type_ is not None and wanted not in {PREFIX + name for name in SHORT.values()}:
        raise typer.BadParameter(
            f"{type_!r} is none of {', '.join(SHORT)} or their full names", param_hint="--type"
        )
    graph = read(path, source or ()).graph
    dialect = Dialect(incremental=variant is Variant.DELTA)
    audience = Audience(choose_gateway(graph, gateway, envoys=False), choose_region(graph, region), dialect)
    view = compile_catalogue(graph).view(audience)
    if view is None:
        raise CommandError(f"nothing is compiled for the gateway {audience.gateway}")
    resources = [
        each
        for type_url in (PREFIX + name for name in SHORT.values())
        if wanted in (None, type_url)
        for each in sorted(_list_all(view, type_url), key=lambda each: each.name)
    ]
    put_document(
        [
            {
                "type": each.type_url.removeprefix(PREFIX),
                "name": each.name,
                "version": each.version,
                "origin": each.origin or None,
                "resource": _without_keys(show(each)),
            }
            for each in resources
        ],
        output,
    )


def _list_all(view: View, type_url: str) -> Iterable[Resource]:
    """The resources of a type, those in reserve and those that are parked included."""
    from xds_server.snapshot import parked, reserve

    keys = (type_url, reserve(type_url), parked(type_url))
    return {each.name: each for key in keys for each in view.resources(key)}.values()


def _without_keys(data: Any) -> Any:
    """Return JSON data with every private key and credential replaced, wherever it stands."""
    if isinstance(data, dict):
        return {name: HIDDEN if name in SECRET else _without_keys(value) for name, value in data.items()}
    if isinstance(data, list):
        return [_without_keys(each) for each in data]
    return data
