"""``fairlead rollout``: how rollouts stand, and what an operator says to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from xds_server.cli import port
from xds_server.cli.document import Format as DataFormat
from xds_server.cli.document import put_document
from xds_server.cli.explanation import Format
from xds_server.cli.outcome import CommandError
from xds_server.cli.serving import ADMIN, Admin, address
from xds_server.cli.terminal import put, say

if TYPE_CHECKING:
    import httpx

STATUS_EXAMPLES: Final = """Examples:

  fairlead rollout status

  fairlead rollout status acme/models/llama -o json
"""
_PATIENCE_SECONDS: Final = 10.0

app = typer.Typer(no_args_is_help=True, help="See how rollouts stand, and steer them.")

Model = Annotated[
    str,
    typer.Argument(
        metavar="MODEL",
        help="The path of the model, agent or function, as acme/models/llama.",
        show_default=False,
    ),
]
EnvironmentName = Annotated[str, typer.Option("--env", "-e", help="The environment.")]


@app.callback()
def rollout() -> None:
    """See how rollouts stand, and steer them. Ask the control plane on this machine: it takes orders from no other."""


@app.command(epilog=STATUS_EXAMPLES)
def status(
    model: Annotated[
        str | None, typer.Argument(metavar="MODEL", help="One model only.", show_default=False)
    ] = None,
    *,
    admin: Admin = ADMIN,
    output: Annotated[Format, typer.Option("--output", "-o", help="The format of the answer.")] = Format.TEXT,
) -> None:
    """Show how the rollouts stand: phase, share, step, why, and what was counted."""
    found = _request(admin, "GET", "/rollouts")["rollouts"]
    chosen = [each for each in found if model is None or each["path"] == model.strip("/")]
    if model is not None and not chosen:
        raise CommandError(f"{model} has no rollout", _known(found))
    if output is not Format.TEXT:
        put_document(chosen, DataFormat(output.value))
    elif not chosen:
        say("there are no rollouts")
    else:
        put("\n".join(map(describe, chosen)))


def _order(name: str, words: str) -> None:
    def send(model: Model, *, env: EnvironmentName = "production", admin: Admin = ADMIN) -> None:
        put(describe(_request(admin, "POST", f"/rollouts/{model.strip('/')}/{env}/{name}")))

    send.__doc__ = words
    app.command(name, epilog=f"Examples:\n\n  fairlead rollout {name} acme/models/llama\n")(send)


_order("pause", "Keep the share as it is. Gates are watched on, and may revert.")
_order(
    "resume", "Go on from a pause or a freeze, with the step from its start; begin again after a way back."
)
_order("promote", "Give all traffic to the new revision now.")
_order("cancel", "Give all traffic back to the old revision now, also after the end.")
_order("freeze", "Keep the share as it is, and watch nothing.")


def describe(told: dict[str, Any]) -> str:
    """One rollout in a few lines."""
    title = f"{told['path']} in {told['environment']}: {told['from']} → {told['to']}, {told['plan']}"
    seconds = told["stepSeconds"]
    time = f", {told['elapsed']:.0f} of {seconds:.0f} s in this step" if seconds is not None else ""
    words = f": {told['words']}" if told["words"] else ""
    counted = (
        f"  {name}: {told[key]['succeeded'] + told[key]['failed']} requests in this step, {told[key]['failed']} failed"
        for key, name in (("old", told["from"]), ("new", told["to"]))
    )
    lines = [title, f"  {told['phase']} at {told['percent']} %{time}", f"  {told['reason']}{words}", *counted]
    if told["policy"] != "running":
        lines.append(f"  the policy says {told['policy']}, and counts more than orders")
    return "\n".join(lines)


def _request(admin: str, method: str, path: str) -> Any:
    import httpx

    host, number = address(admin, "--admin")
    base = f"http://{port.join(port.reachable(host), number)}"
    try:
        with httpx.Client(base_url=base, timeout=_PATIENCE_SECONDS, trust_env=False) as client:
            answer = client.request(method, path)
            if answer.is_client_error:
                raise CommandError(_refusal(answer))
            return answer.raise_for_status().json()
    except httpx.HTTPError as error:
        hint = "is it running? --admin says where its admin HTTP is"
        raise CommandError(f"the control plane at {base} does not answer: {error}", hint) from error


def _refusal(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (KeyError, TypeError, ValueError):
        return f"the control plane answers {answer.status_code}"


def _known(found: list[dict[str, Any]]) -> str:
    names = sorted({each["path"] for each in found})
    return f"those that have one: {', '.join(names)}" if names else "no model has one"
