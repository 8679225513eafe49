"""The stack of the tests that change nothing: the control plane, three real Envoys in two regions, and the models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

from tests.e2e.certificates import Certificates
from tests.e2e.control import ControlRoom
from tests.e2e.fleet import make_member
from tests.e2e.upstream import Upstreams
from tests.e2e.world import PARIS, VIRGINIA, Issuers, Ports, write_world
from tests.envoy_process import EnvoyProcess, wait_until


@dataclass(frozen=True)
class Stack:
    """All that runs, and a token for each of two workspaces."""

    control: ControlRoom
    envoys: dict[str, EnvoyProcess]
    upstreams: Upstreams
    ports: Ports
    issuers: Issuers
    certificates: Certificates
    acme: str
    beta: str

    def line(self, gateway: str, request_id: str | None) -> dict[str, Any]:
        """The line of a gateway's access log that tells of a request."""
        assert request_id

        def find() -> dict[str, Any] | None:
            lines = self.envoys[gateway].log.split("\n")[:-1]  # the last one may be half written
            return next(
                (json.loads(each) for each in lines if request_id in each and each.startswith("{")), None
            )

        return wait_until(find, f"a line of the access log with {request_id}")


@contextmanager
def run_stack(folder: Path) -> Iterator[Stack]:
    """Start everything, and wait until each Envoy has all that it is to be sent."""
    ports, issuers, certificates = Ports.take(), Issuers.make(), Certificates.make()
    with ExitStack() as running:
        upstreams = running.enter_context(Upstreams())
        keys_uri = running.enter_context(serve_keys(issuers.remote.jwks()))
        write_world(folder / "policies", upstreams, ports, issuers, certificates, keys_uri)
        control = running.enter_context(ControlRoom(folder / "policies"))
        envoys = {
            "paris": make_member(folder, "paris", PARIS, control.port, "delta"),
            "virginia": make_member(folder, "virginia", VIRGINIA, control.port, "sotw"),
            "brisk": make_member(folder, "brisk", PARIS, control.port, "delta"),
        }
        for envoy in envoys.values():
            running.enter_context(envoy)
        for envoy in envoys.values():
            envoy.wait_ready()
        wait_until(lambda: control.settled(envoys), "the fleet has the whole world")
        acme, beta = issuers.main.token("acme"), issuers.main.token("beta")
        yield Stack(control, envoys, upstreams, ports, issuers, certificates, acme, beta)
        assert [stalls for envoy in envoys.values() if (stalls := envoy.stalls())] == []


@contextmanager
def serve_keys(jwks: str) -> Iterator[str]:
    """Publish a key set over HTTP; the value is its URI."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = jwks.encode()
            self.send_response(200 if self.path == "/keys.json" else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the tests' output is for the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/keys.json"
        server.shutdown()
        thread.join()
