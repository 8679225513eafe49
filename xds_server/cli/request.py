"""``fairlead run``: send one request to a model, agent or function, and stream the answer to stdout."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote, urlencode, urlsplit

import typer

from xds_server import __version__
from xds_server.cli import issuer, port
from xds_server.cli.outcome import FAILED, CommandError
from xds_server.cli.terminal import complain

if TYPE_CHECKING:
    import httpx

ENDPOINT: Final = "http://127.0.0.1:10000"
TOKEN_VARIABLE: Final = "FAIRLEAD_TOKEN"  # noqa: S105 - the name of the variable
TOKEN_SECONDS: Final = 300
CONNECT_SECONDS: Final = 10.0
ERROR_BODY_LIMIT: Final = 64 * 1024
"""Bytes of a refusal that are kept to be read as the gateway's error; the rest passes to stdout like all of
it.
"""

app = typer.Typer(no_args_is_help=True, help="Send a request to a model, agent or function.")

EXAMPLES: Final = """Examples:

  fairlead run {kind} {name} -w acme

  fairlead run {kind} {name} -w acme --path {path} --data '{body}'

  fairlead run {kind} {name} -w acme --env development --path {path} --data @request.json

  echo '{body}' | fairlead run {kind} {name} -w acme --path {path} --data @-
"""

Name = Annotated[str, typer.Argument(help="Its name.", show_default=False)]
WorkspaceName = Annotated[str, typer.Option("--workspace", "-w", help="The workspace it belongs to.")]
EnvironmentName = Annotated[
    str | None, typer.Option("--env", "-e", help="The environment; the workspace's default if left out.")
]
SubPath = Annotated[str, typer.Option("--path", "-p", help="The path behind the endpoint's own.")]
Method = Annotated[
    str | None, typer.Option("--method", "-X", help="The HTTP method; POST with --data, else GET.")
]
Header = Annotated[
    list[str] | None, typer.Option("--header", "-H", help="A header as 'name: value'; may be given again.")
]
Data = Annotated[
    str | None,
    typer.Option("--data", "-d", help="The body; @file reads it from a file, @- from stdin."),
]
Param = Annotated[
    list[str] | None, typer.Option("--param", help="A query parameter as name=value; may be given again.")
]
Endpoint = Annotated[
    str, typer.Option("--endpoint", envvar="FAIRLEAD_ENDPOINT", help="Where the gateway is reached.")
]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar=TOKEN_VARIABLE,
        help="The bearer token; on this machine the development issuer makes one if left out.",
    ),
]


@dataclass(frozen=True, slots=True)
class Call:
    """One request, as the options describe it."""

    url: str
    method: str
    headers: list[tuple[str, str]]
    body: bytes | None


@app.callback()
def run() -> None:
    """Send a request to a model, agent or function, and stream the answer."""


def _command(segment: str, kind: str, example: str, sub_path: str, example_body: str) -> None:
    """Add ``fairlead run KIND``: the three differ in the segment of their path, and in their examples."""

    def send_request(
        name: Name,
        *,
        workspace: WorkspaceName,
        env: EnvironmentName = None,
        path: SubPath = "",
        method: Method = None,
        header: Header = None,
        data: Data = None,
        param: Param = None,
        endpoint: Endpoint = ENDPOINT,
        token: Token = None,
    ) -> None:
        query = [_pair(text, "=", "--param") for text in param or ()]
        if env is not None:
            query.insert(0, ("environment", env))
        url = _address(endpoint, (workspace, segment, name), path, query)
        headers = [_pair(text, ":", "--header") for text in header or ()]
        body = None if data is None else _body(data)
        given = {key.lower() for key, _ in headers}
        if "user-agent" not in given:
            headers.append(("user-agent", f"fairlead/{__version__}"))
        if body is not None and "content-type" not in given:
            headers.append(("content-type", "application/json"))
        if "authorization" not in given:
            headers.append(("authorization", f"Bearer {token or _own_token(endpoint, workspace)}"))
        _send(Call(url, (method or ("GET" if body is None else "POST")).upper(), headers, body))

    article = "an" if kind[0] == "a" else "a"
    send_request.__doc__ = f"""Send a request to {article} {kind} and stream the answer to stdout.

    An answer that is not a 2xx goes to stdout as well, its status and the gateway's error code to stderr, and
    the exit code is 1."""
    epilogue = EXAMPLES.format(kind=kind, name=example, path=sub_path, body=example_body)
    app.command(kind, epilog=epilogue)(send_request)


_command("models", "model", "llama", "v1/chat/completions", '{"stream": true}')
_command("agents", "agent", "planner", "plan", '{"goal": "sail"}')
_command("functions", "function", "resize", "run", '{"width": 640}')


def _pair(text: str, separator: str, option: str) -> tuple[str, str]:
    name, found, value = text.partition(separator)
    if not found or not name.strip():
        raise typer.BadParameter(f"{text!r} is not name{separator}value", param_hint=option)
    return name.strip(), value.lstrip() if separator == ":" else value


def _body(data: str) -> bytes:
    if data == "@-":
        return sys.stdin.buffer.read()
    if not data.startswith("@"):
        return data.encode()
    try:
        return Path(data[1:]).read_bytes()
    except OSError as error:
        raise CommandError(f"cannot read {data[1:]}: {error.strerror or error}") from error


def _address(endpoint: str, identity: tuple[str, str, str], path: str, query: list[tuple[str, str]]) -> str:
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise typer.BadParameter(
            f"{endpoint!r} is not an http:// or https:// address", param_hint="--endpoint"
        )
    base = endpoint.rstrip("/") + "/" + "/".join(quote(part, safe="") for part in identity)
    rest, question, own = path.partition("?")
    if rest and not rest.startswith("/"):
        rest = f"/{rest}"
    words = "&".join(text for text in (own, urlencode(query)) if text)
    return f"{base}{rest}{'?' if words or question else ''}{words}"


def _own_token(endpoint: str, workspace: str) -> str:
    """Make a short-lived token, for an endpoint on this machine only: nobody else trusts the development
    issuer.
    """
    host = urlsplit(endpoint).hostname or ""
    if not port.loopback(host):
        raise CommandError(f"no token for {endpoint}", f"give one with --token or {TOKEN_VARIABLE}")
    subject = os.environ.get("USER") or "developer"
    return issuer.open_issuer().token([workspace], subject=subject, ttl=TOKEN_SECONDS)


def _send(call: Call) -> None:
    import httpx

    own_machine = port.loopback(urlsplit(call.url).hostname or "")
    timeout = httpx.Timeout(None, connect=CONNECT_SECONDS)  # a model may take its time; Ctrl-C is at hand
    try:
        with (
            httpx.Client(timeout=timeout, trust_env=not own_machine) as client,
            client.stream(call.method, call.url, headers=call.headers, content=call.body) as response,
        ):
            kept = _pass_on(response)
            if not response.is_success:
                complain(_refusal(response, kept))
                raise typer.Exit(FAILED)
    except httpx.ConnectError as error:
        raise CommandError(
            f"nothing answers at {call.url}: {error}", "is the gateway running? try: fairlead up PATH"
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(f"the request failed: {error or type(error).__name__}") from error


def _pass_on(response: httpx.Response) -> bytes:
    """Copy the answer to stdout as it arrives; return its first bytes, for the reading of a refusal."""
    kept = bytearray()
    last = b""
    for chunk in response.iter_bytes():
        sys.stdout.buffer.write(chunk)
        sys.stdout.buffer.flush()
        kept += chunk[: max(0, ERROR_BODY_LIMIT - len(kept))]
        last = chunk[-1:] or last
    if last != b"\n" and last and sys.stdout.isatty():
        sys.stdout.write("\n")
    return bytes(kept)


def _refusal(response: httpx.Response, body: bytes) -> str:
    """Say who refused: the gateway, whose errors name themselves, or what stands behind it."""
    status = f"HTTP {response.status_code} {response.reason_phrase}".rstrip()
    try:
        answer: Any = json.loads(body)
        error = answer["error"]
        if error["origin"] == "gateway":
            request = f" (request {error['request_id']})" if error.get("request_id") else ""
            return f"{status}: {error['code']} from the gateway: {error['message']}{request}"
    except (ValueError, KeyError, TypeError):
        pass
    return f"{status}, from behind the gateway"
