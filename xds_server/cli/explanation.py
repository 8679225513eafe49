"""``fairlead explain``: how a request is decided, and which policy at which line keeps each other place out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from xds_server.cli.document import Format as DataFormat
from xds_server.cli.document import put_document
from xds_server.cli.published import Published
from xds_server.cli.terminal import put
from xds_server.cli.validation import GatewayChoice, PolicyPath

if TYPE_CHECKING:
    from xds_server.graph import Decision, Excluded, Limits, Share

EXAMPLES: Final = """Examples:

  fairlead explain policies/quickstart /acme/models/llama --region eu-west-3

  fairlead explain policies/quickstart '/acme/models/llama?environment=development' -r us-east-1 -o json

  fairlead explain policies/access http://127.0.0.1:10000/acme/models/llama -r eu-west-3 --claims '{"iss":
  "https://fairlead.local/dev", "aud": "fairlead", "workspaces": ["acme"]}'
"""
LABEL_WIDTH: Final = 12


class Format(StrEnum):
    """How a decision is written."""

    TEXT = "text"
    YAML = "yaml"
    JSON = "json"


def explain(
    path: PolicyPath,
    url: Annotated[
        str,
        typer.Argument(metavar="URL", help="The request's URL, or its path and query.", show_default=False),
    ],
    *,
    region: Annotated[str, typer.Option("--region", "-r", help="The region of the Envoy that is asked.")],
    claims: Annotated[
        str | None,
        typer.Option("--claims", help="The claims of the token, as JSON; access is not checked if left out."),
    ] = None,
    method: Annotated[str, typer.Option("--method", "-X", help="The HTTP method.")] = "POST",
    header: Annotated[
        list[str] | None, typer.Option("--header", "-H", help="A header of the request, as `name: value`.")
    ] = None,
    gateway: GatewayChoice = None,
    source: Published = None,
    output: Annotated[Format, typer.Option("--output", "-o", help="The format of the answer.")] = Format.TEXT,
) -> None:
    """Show how a request is decided: workspace, model, environment, revisions, regions in order, and why.

    The decision is taken by the code that Envoy's configuration is compiled from. A refusal is an answer too:
    it exits with 0.
    """
    from xds_server.cli.policies import choose_gateway, read
    from xds_server.graph import explain as decide
    from xds_server.graph import find_delivery

    parsed = None if claims is None else _claims(claims)
    graph = read(path, source or ()).graph
    edge = graph.edges[choose_gateway(graph, gateway)]
    decision = decide(
        graph,
        url,
        region=region,
        claims=parsed,
        method=method.upper(),
        headers=dict(_header(each) for each in header or ()),
        keep_escaped_slashes=edge.gateway.spec.paths.encoded_slashes == "keep",
        delivery=find_delivery(graph, edge),
    )
    if output is Format.TEXT:
        put("\n".join(_lines(decision)))
    else:
        put_document(_data(decision), DataFormat(output.value))


def _claims(text: str) -> dict[str, Any]:
    try:
        claims = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--claims") from error
    if not isinstance(claims, dict):
        raise typer.BadParameter("claims are a JSON object", param_hint="--claims")
    return claims


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip():
        raise typer.BadParameter(f"{text!r} is not of the form `name: value`", param_hint="--header")
    return name.strip().lower(), value.strip()


def _data(value: Any) -> Any:
    """Return a decision as JSON data, field by field."""
    if is_dataclass(value):
        return {each.name: _data(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, frozenset):
        return sorted((_data(each) for each in value), key=str)
    if isinstance(value, tuple | list):
        return [_data(each) for each in value]
    return value


def _lines(decision: Decision) -> Iterator[str]:
    """Yield the decision as lines for people."""
    yield f"{decision.method} {decision.url} at an Envoy in {decision.region}"
    yield ""
    where = f" ({decision.origin})" if decision.origin else ""
    endpoint = f"{decision.kind}/{decision.name}{where}" if decision.name else None
    environment = f"{decision.environment} (from {decision.environment_from})"
    refusal = decision.refusal
    for label, words in (
        ("path", decision.path),
        ("workspace", decision.workspace),
        ("endpoint", endpoint),
        ("access", decision.access),
        ("environment", environment if decision.environment is not None else None),
        ("forwarded", None if refusal else decision.forwarded_path),
        ("revision", f"{decision.revision} (from {decision.revision_from})" if decision.revision else None),
        ("sticky", " | ".join(decision.sticky) or None),
        (
            "shadow",
            f"{decision.shadow.percent:.4g} % to {decision.shadow.share.revision}"
            if decision.shadow
            else None,
        ),
        ("served by", "told in x-fairlead-served-by" if decision.served_by else None),
        ("refused", f"{refusal.status} {refusal.code}: {refusal.reason}" if refusal else None),
        ("places", None if refusal else _routing(decision)),
        ("sent again", None if refusal else _retries(decision)),
        ("given up", None if refusal else _timeouts(decision)),
        *(("note", note) for note in decision.notes),
    ):
        if words is not None:
            yield f"{label:<{LABEL_WIDTH}} {words}"
    for share in decision.shares:
        yield ""
        yield from _share_lines(share)


def _routing(decision: Decision) -> str | None:
    routing = decision.routing
    if routing is None:
        return None
    if routing.overflow is not None:
        over = routing.overflow
        spill = f"; above {over.above} requests in progress in the first place, {over.share} % to the next"
        return (f"{', '.join(routing.order)}; then the nearest" if routing.order else "the nearest") + spill
    if routing.order:
        return f"{', '.join(routing.order)}; then the nearest first"
    return {"weighted": "by weight", "pinned": "one, and never another"}.get(
        routing.mode, "the nearest first"
    )


def _retries(decision: Decision) -> str | None:
    if decision.attempts is None:
        return None
    return (
        f"at most {decision.attempts} times: {', '.join(decision.retried_on)}"
        if decision.attempts
        else "never"
    )


def _timeouts(decision: Decision) -> str | None:
    from xds_server.policy import format_duration

    handling = decision.handling
    if handling is None:
        return None
    waits = [
        f"{words} {format_duration(seconds)}"
        for words, seconds in (("without a byte for", handling.idle), ("as a whole after", handling.total))
        if seconds is not None
    ]
    return ", ".join(waits) or None


def _share_lines(share: Share) -> Iterator[str]:
    yield f"revision {share.revision}: {share.percent:.4g} % of requests"
    for hop in share.hops:
        far = "" if hop.distance_km is None else f", {hop.distance_km:,.0f} km"
        standby = ", standby" if hop.standby else ""
        part = "" if hop.percent == 100 else f", {hop.percent:.4g} %"
        addresses = ", ".join(
            address if len(hop.addresses) == 1 else f"{address} (weight {weight})"
            for address, weight in hop.addresses
        )
        yield f"  {hop.priority + 1}. {hop.place} ({hop.region}{far}{part}{standby}): {addresses}"
    yield from (f"  at most {bound}" for bound in _bounds(share.limits))
    for excluded in share.excluded:
        yield f"  -  {excluded.place}: {excluded.address}"
        yield from (f"       {reason}" for reason in _reasons(excluded))


def _bounds(limits: Limits) -> Iterator[str]:
    for count, what in (
        (limits.connections, "connections"),
        (limits.pending_requests, "requests that wait for a connection"),
        (limits.requests, "requests in progress"),
    ):
        if count is not None:
            yield f"{count:,} {what} at once from each Envoy"


def _reasons(excluded: Excluded) -> Iterator[str]:
    if excluded.out_of_split:
        yield "weight 0: out of the split"
    if excluded.left_out is not None:
        yield excluded.left_out
    for removal in excluded.removals:
        yield str(removal)
