"""``fairlead token``: tokens of the development issuer."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any, Final

import typer

from xds_server.cli import issuer
from xds_server.cli.duration import seconds
from xds_server.cli.terminal import put

WORKSPACE_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
app = typer.Typer(no_args_is_help=True, help="Make tokens of the local development issuer.")

CREATE_EXAMPLES: Final = """Examples:

  fairlead token create --workspace acme

  fairlead token create -w acme -w gamma --ttl 15m --claim role=admin

  curl -H "Authorization: Bearer $(fairlead token create -w acme)" http://127.0.0.1:10000/acme/models/llama
"""


@app.callback()
def token() -> None:
    """Make tokens of the local development issuer."""


@app.command(epilog=CREATE_EXAMPLES)
def create(
    workspace: Annotated[
        list[str], typer.Option("--workspace", "-w", help="A workspace the token opens; may be given again.")
    ],
    *,
    ttl: Annotated[str, typer.Option(help="How long the token lives: 90s, 15m, 8h, 1d.")] = "8h",
    subject: Annotated[str, typer.Option(help="Who the token is for (claim sub).")] = "developer",
    audience: Annotated[str, typer.Option(help="What the token is for (claim aud).")] = issuer.AUDIENCE,
    claim: Annotated[
        list[str] | None,
        typer.Option(
            help="A further claim as name=value; the value is JSON if it can be read so, else text."
        ),
    ] = None,
) -> None:
    """Print a token for the run endpoint, and nothing else.

    It is signed with the key of the development issuer, which is made at first use in the state folder
    (.fairlead/, or FAIRLEAD_STATE) and which policies trust with "jwks: {development: true}".
    """
    for name in workspace:
        if not WORKSPACE_NAME.fullmatch(name):
            raise typer.BadParameter(f"{name!r} is not a workspace name", param_hint="--workspace")
    lifetime = seconds(ttl, "--ttl")
    claims = dict(_claim(text) for text in claim or ())
    made = issuer.open_issuer().token(
        workspace, subject=subject, ttl=lifetime, audience=audience, claims=claims
    )
    put(made)


def _claim(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{text!r} is not name=value", param_hint="--claim")
    if name in issuer.RESERVED:
        raise typer.BadParameter(f"the claim {name!r} is set by the command itself", param_hint="--claim")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
