"""A publisher of policies: an HTTP server whose document, tag and manners may be changed while it runs."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from types import TracebackType
from typing import Any, Self

from tests.envoy_process import free_port


def policy(name: str, *places: tuple[str, str]) -> str:
    """A policy of no workspace, as text."""
    locations = ", ".join(f"{{type: {kind}, name: {each}}}" for kind, each in places)
    return (
        f"apiVersion: fairlead/v1\nkind: Policy\nmetadata: {{name: {name}}}\n"
        f"spec: {{type: location, locations: [{locations}]}}\n"
    )


class Publishing:
    """Serves `document` at every path. A context manager; `close` and `open` make it go and come back."""

    def __init__(self, document: str | bytes = "", tls: ssl.SSLContext | None = None) -> None:
        self.document = document
        self.etag: str | None = None
        """What it says the document's tag is; a question with the same one is answered 304."""
        self.status = 200
        self.headers: Mapping[str, str] = {}
        self.length: str | None = "content-length"
        self.asked: list[Mapping[str, str]] = []
        """The headers of each question, by name in lower case."""
        self.answered: list[int] = []
        """The status of each answer, from when it is begun: who has it finds it here."""
        self.port = free_port()
        self.saying = Lock()
        """Held while an answer is chosen: it is of one document and one status."""
        self._tls = tls
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        """Where it publishes."""
        return f"{'http' if self._tls is None else 'https'}://127.0.0.1:{self.port}/policies.yaml"

    def __enter__(self) -> Self:
        return self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self) -> Self:
        """Answer from now on."""
        publishing = self

        class Handler(_Handler):
            publisher = publishing

        self._server = _Server(("127.0.0.1", self.port), Handler)
        if self._tls is not None:
            self._server.socket = self._tls.wrap_socket(self._server.socket, server_side=True)
        Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def say(self, document: str, status: int = 200) -> None:
        """Answer with both from now on, and with no one of them before."""
        with self.saying:
            self.document, self.status = document, status

    def close(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients that hang up are what some tests are about."""


class _Handler(BaseHTTPRequestHandler):
    publisher: Publishing

    def do_GET(self) -> None:
        it = self.publisher
        it.asked.append({name.lower(): value for name, value in self.headers.items()})
        same = it.etag is not None and self.headers.get("if-none-match") == it.etag
        with it.saying:
            said, document = it.status, it.document
        status = 304 if same and said == 200 else said
        body = document.encode() if isinstance(document, str) else document
        it.answered.append(status)
        self.send_response(status)
        for name, value in it.headers.items():
            self.send_header(name, value)
        if it.etag is not None:
            self.send_header("etag", it.etag)
        if it.length is not None and status != 304:
            self.send_header(it.length, str(len(body)))
        self.end_headers()
        if status != 304:
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing: the tests' output is for the tests."""
