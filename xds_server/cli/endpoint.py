"""``fairlead endpoint``: a backend says where it is, and goes on saying it as long as it runs."""

from __future__ import annotations

import os
import signal
import ssl
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from xds_server.cli import state
from xds_server.cli.duration import seconds
from xds_server.cli.outcome import CommandError
from xds_server.cli.terminal import say

if TYPE_CHECKING:
    import httpx

EXAMPLES: Final = """Examples:

  fairlead endpoint register acme/models/llama/production/v1 --server http://fairlead:18002 \\
      --token-file token --location eu-west-3 --address 10.1.0.7:8000

  fairlead endpoint register acme/models/llama/production/v1 --server https://fairlead:18002 --ca ca.pem \\
      --token-file token --location eu-west-3 --flavor gpu --address 10.1.0.7:8000 --ttl 30s --heartbeat
"""
TOKEN_VARIABLE: Final = "FAIRLEAD_REGISTRATION_TOKEN"  # noqa: S105 - the name of the variable
_PATIENCE_SECONDS: Final = 5.0
_BEATS: Final = 3
"""Heartbeats in the time of a lease: two may be lost."""
_RETRY_SECONDS: Final = 1.0

app = typer.Typer(no_args_is_help=True, help="Register backends at run time.")


@app.callback()
def endpoint() -> None:
    """Register backends at run time, for revisions that say `registration`."""


@app.command(epilog=EXAMPLES)
def register(
    revision: Annotated[
        str,
        typer.Argument(
            metavar="REVISION",
            help="What it runs, as acme/models/llama/production/v1.",
            show_default=False,
        ),
    ],
    *,
    location: Annotated[str, typer.Option("--location", help="The location that it runs in.")],
    address: Annotated[str, typer.Option("--address", help="The IP address and port that it listens on.")],
    server: Annotated[
        str, typer.Option("--server", help="Where the control plane takes registrations, as a URL.")
    ],
    flavor: Annotated[
        str | None, typer.Option("--flavor", help="The hardware it runs on.", show_default=False)
    ] = None,
    weight: Annotated[
        int, typer.Option("--weight", min=0, help="Its share among the others in the location.")
    ] = 1,
    ttl: Annotated[
        str | None,
        typer.Option(
            "--ttl", help="How long it serves unheard of; the policy's if left out.", show_default=False
        ),
    ] = None,
    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file", help=f"The file with the token; or {TOKEN_VARIABLE}.", show_default=False
        ),
    ] = None,
    ca: Annotated[
        Path | None,
        typer.Option("--ca", help="The authority of the server's certificate, in PEM.", show_default=False),
    ] = None,
    heartbeat: Annotated[
        bool, typer.Option("--heartbeat", help="Go on until SIGTERM or Ctrl-C, and then say goodbye.")
    ] = False,
) -> None:
    """Register a backend. With --heartbeat it is registered as long as this command runs: run it beside the model."""
    import httpx

    if revision.strip("/").count("/") != 4:
        raise typer.BadParameter("write workspace/segment/model/environment/revision", param_hint="REVISION")
    body: dict[str, Any] = {"location": location, "address": address, "weight": weight}
    if flavor is not None:
        body["flavor"] = flavor
    if ttl is not None:
        seconds(ttl, "--ttl")
        body["ttl"] = ttl
    headers = {"authorization": f"Bearer {_token(token_file)}"}
    url = f"{server.rstrip('/')}/v1/endpoints/{revision.strip('/')}"
    with httpx.Client(
        timeout=_PATIENCE_SECONDS, trust_env=False, headers=headers, verify=_trust(ca)
    ) as client:
        if heartbeat:
            _beat(client, url, body)
            return
        try:
            _put(client, url, body)
        except httpx.HTTPError as error:
            raise CommandError(f"{server} does not answer: {error}", "is --server right?") from error


def _put(client: httpx.Client, url: str, body: dict[str, Any]) -> float:
    """Register once; returns the seconds of the lease. Raises ``CommandError`` if it is refused for good."""
    answer = client.put(url, json=body)
    if answer.is_client_error:
        raise CommandError(_refusal(answer))
    granted: float = answer.raise_for_status().json()["ttl"]
    return granted


def _beat(client: httpx.Client, url: str, body: dict[str, Any]) -> None:
    import httpx

    over = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: over.set())
    pause, told = _RETRY_SECONDS, ""
    while not over.is_set():
        try:
            pause = _put(client, url, body) / _BEATS
            words = f"registered {body['address']} in {body['location']}, again every {pause:.3g} s"
        except httpx.HTTPError as error:
            # The lease may last until it answers again; after that the next heartbeat registers anew.
            pause, words = _RETRY_SECONDS, f"the control plane does not answer: {error}; trying on"
        if words != told:
            told = words
            say(words)
        over.wait(pause)
    try:
        client.request("DELETE", url, json=body).raise_for_status()
        say("registered no more")
    except httpx.HTTPError as error:
        say(f"could not say goodbye: {error}; the lease ends by itself", "warning")


def _token(file: Path | None) -> str:
    found = (
        (state.read_secret(file) or b"").decode(errors="replace") if file else os.environ.get(TOKEN_VARIABLE)
    )
    if not found or not found.strip():
        raise CommandError("there is no token", f"give it with --token-file or {TOKEN_VARIABLE}")
    return found.strip()


def _trust(ca: Path | None) -> ssl.SSLContext | bool:
    if ca is None:
        return True
    try:
        return ssl.create_default_context(cafile=str(ca))
    except (OSError, ssl.SSLError) as error:
        raise CommandError(f"{ca} holds no certificates: {error}") from error


def _refusal(answer: httpx.Response) -> str:
    try:
        error = answer.json()["error"]
        return f"{error['code']}: {error['message']}"
    except (KeyError, TypeError, ValueError):
        return f"the control plane answers {answer.status_code}"
