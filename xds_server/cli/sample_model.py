"""A small, honest stand-in for a model server: it says where it is and what reached it, and no more.

``fairlead up`` starts one for each loopback backend that nobody serves yet; a compose file may run it by
itself::

    python -m xds_server.cli.sample_model --listen 127.0.0.1:8001 --revision v1 --region eu-west-3

It says its own region. Which revision and environment it speaks for, a gateway tells it with each request,
since several may share one server; without a gateway it says the ``--revision`` it was started with.

- ``GET /health`` answers 200.
- ``POST /v1/chat/completions`` answers in the shape of OpenAI's API, as server-sent events with ``"stream":
  true``.
- Every other path and method answers with a JSON echo of the request; secrets in headers are left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Any, Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

SECRET_WORDS: Final = ("authorization", "cookie", "token", "secret", "key", "password")
CHAT_PATH: Final = b"/v1/chat/completions"
CHAT_BODY_LIMIT: Final = 1 << 20
"""Bytes of a chat request that are kept in order to be read; larger ones are counted and echoed like any
request.
"""
REVISION_HEADER: Final = "x-fairlead-revision"
ENVIRONMENT_HEADER: Final = "x-fairlead-environment"
SHUTDOWN_SECONDS: Final = 2


@dataclass(frozen=True, slots=True)
class Identity:
    """What the server says about itself in each answer."""

    model: str
    revision: str
    region: str


class SampleModel:
    """The ASGI application; ``pause`` is the time in seconds between two chunks of a streamed answer."""

    def __init__(self, identity: Identity, pause: float) -> None:
        self.identity = identity
        self.pause = pause

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        request = Request(scope, receive)
        response = await self.answer(request)
        await response(scope, receive, send)

    async def answer(self, request: Request) -> Response:
        """Read the whole request, counting its body rather than keeping it, and make the answer."""
        path: bytes = request.scope["raw_path"]
        head = bytearray()
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size <= CHAT_BODY_LIMIT:
                head += chunk
        echo = self.echo(request, size)
        if path == b"/health":
            return JSONResponse({"status": "ok", **asdict(self.identity)})
        chat = _chat(bytes(head)) if path == CHAT_PATH and request.method == "POST" else None
        if chat is None:
            return JSONResponse(echo)
        words = self.reply(chat, echo["revision"])
        if chat.get("stream") is True:
            return StreamingResponse(self.events(words, echo), media_type="text/event-stream")
        return JSONResponse(self.completion(words, echo))

    def echo(self, request: Request, size: int) -> dict[str, Any]:
        """Return what reached the server, as JSON data."""
        return {
            **asdict(self.identity),
            "revision": request.headers.get(REVISION_HEADER, self.identity.revision),
            "environment": request.headers.get(ENVIRONMENT_HEADER),
            "method": request.method,
            "path": request.scope["raw_path"].decode("latin-1"),
            "query": request.scope["query_string"].decode("latin-1"),
            "headers": _shown(request),
            "body_bytes": size,
        }

    def reply(self, chat: dict[str, Any], revision: str) -> list[str]:
        """Return the words of the answer: who speaks, and the last message given back."""
        messages = chat.get("messages")
        last = messages[-1] if isinstance(messages, list) and messages else None
        said = last.get("content") if isinstance(last, dict) else None
        whole = (
            f"This is the sample model {self.identity.model}, revision {revision}, in "
            f"{self.identity.region}. It only echoes. You said: {said if isinstance(said, str) else ''}"
        )
        return [f"{word} " for word in whole.split(" ")]

    def completion(self, words: list[str], echo: dict[str, Any]) -> dict[str, Any]:
        """Return a ``chat.completion`` object, with the echo beside it."""
        message = {"role": "assistant", "content": "".join(words).rstrip()}
        return {
            **self._frame("chat.completion", echo),
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 0, "completion_tokens": len(words), "total_tokens": len(words)},
            "echo": echo,
        }

    async def events(self, words: list[str], echo: dict[str, Any]) -> AsyncIterator[str]:
        """Yield the answer as server-sent ``chat.completion.chunk`` events, one word each, and ``[DONE]``."""
        for word in words:
            yield self._event({"content": word}, None, echo)
            await asyncio.sleep(self.pause)
        yield self._event({}, "stop", echo)
        yield "data: [DONE]\n\n"

    def _event(self, delta: dict[str, str], finish: str | None, echo: dict[str, Any]) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return f"data: {json.dumps({**self._frame('chat.completion.chunk', echo), 'choices': [choice]})}\n\n"

    def _frame(self, kind: str, echo: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": f"sample-{time.time_ns():x}",
            "object": kind,
            "created": int(time.time()),
            "model": self.identity.model,
            "system_fingerprint": f"{self.identity.region}/{echo['revision']}",
        }


def _chat(body: bytes) -> dict[str, Any] | None:
    try:
        chat = json.loads(body)
    except ValueError:
        return None
    return chat if isinstance(chat, dict) else None


def _shown(request: Request) -> dict[str, str]:
    shown: dict[str, str] = {}
    for name, value in request.headers.items():
        kept = "(hidden)" if any(word in name for word in SECRET_WORDS) else value
        shown[name] = f"{shown[name]}, {kept}" if name in shown else kept
    return shown


def serve(identity: Identity, listener: socket.socket, pause: float) -> None:
    """Serve on a listening socket until SIGTERM or SIGINT. asyncio sets TCP_NODELAY on what it accepts."""
    application = Starlette()
    application.mount("/", SampleModel(identity, pause))
    config = uvicorn.Config(
        application,
        log_level="warning",
        lifespan="off",
        access_log=False,
        server_header=False,
        ws="none",
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    asyncio.run(uvicorn.Server(config).serve(sockets=[listener]))


def open_listener(address: str, port: int) -> socket.socket:
    """Return a listening TCP socket; raises ``OSError`` if the address is taken."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return socket.create_server((address, port), family=family, backlog=1024)


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description="A sample model server that echoes.")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--listen", metavar="ADDRESS:PORT")
    where.add_argument("--fd", type=int, help="a listening socket that was opened already")
    parser.add_argument("--model", default="sample")
    parser.add_argument("--revision", default="v1")
    parser.add_argument("--region", default="local")
    parser.add_argument("--pause", type=float, default=0.02, help="seconds between two streamed words")
    options = parser.parse_args()
    if options.fd is not None:
        listener = socket.socket(fileno=options.fd)
    else:
        address, _, port = options.listen.rpartition(":")
        listener = open_listener(address.strip("[]"), int(port))
    serve(Identity(options.model, options.revision, options.region), listener, options.pause)


if __name__ == "__main__":
    main()
