"""One world for the whole run: the control plane, three real Envoys in two regions, and the upstreams behind them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from tests.e2e.certificates import Certificates
from tests.e2e.control import ControlRoom
from tests.e2e.fleet import make_member
from tests.e2e.upstream import Upstreams
from tests.e2e.world import PARIS, VIRGINIA, Issuers, Ports, write_world
from tests.envoy_process import EnvoyProcess, wait_until


@dataclass(frozen=True)
class Stack:
    """All that runs, and the tokens to talk to it with."""

    control: ControlRoom
    envoys: dict[str, EnvoyProcess]
    upstreams: Upstreams
    ports: Ports
    issuers: Issuers
    certificates: Certificates
    acme: str
    beta: str


@pytest.fixture(scope="session")
def issuers() -> Issuers:
    return Issuers.make()


@pytest.fixture(scope="session")
def certificates() -> Certificates:
    return Certificates.make()


@pytest.fixture(scope="session")
def keys_uri(issuers: Issuers) -> Iterator[str]:
    """Where the remote issuer publishes its keys."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = issuers.remote.jwks().encode()
            self.send_response(200 if self.path == "/keys.json" else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the tests' output is for the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/keys.json"
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="session")
def upstreams() -> Iterator[Upstreams]:
    with Upstreams() as world:
        yield world


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory,
    issuers: Issuers,
    certificates: Certificates,
    keys_uri: str,
    upstreams: Upstreams,
) -> Iterator[Stack]:
    folder = tmp_path_factory.mktemp("world")
    ports = Ports.take()
    write_world(folder / "policies", upstreams, ports, issuers, certificates, keys_uri)
    with ExitStack() as running:
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
        wait_until(lambda: control.settled(*envoys), "the fleet has the whole world")
        acme, beta = issuers.main.token("acme"), issuers.main.token("beta")
        yield Stack(control, envoys, upstreams, ports, issuers, certificates, acme, beta)


@pytest.fixture(params=["paris", "virginia"])
def port(request: pytest.FixtureRequest, stack: Stack) -> int:
    """The run endpoint of each region in turn: one Envoy is fed by delta, the other by state of the world."""
    found: int = getattr(stack.ports, request.param)
    return found


@pytest.fixture
def seed() -> str:
    """What the random tests draw from: always the same, unless FAIRLEAD_TEST_SEED says otherwise."""
    return os.environ.get("FAIRLEAD_TEST_SEED", "1")
