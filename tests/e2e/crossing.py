"""Two Envoys in two regions, one eager and one on demand, and the revisions of a model: for how traffic is dealt."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.cold import PATIENT
from tests.e2e.control import ControlRoom
from tests.e2e.fleet import make_member
from tests.e2e.manifest import Manifest, backend, manifest, put, revision, write
from tests.e2e.tokens import AUDIENCE, TestIssuer
from tests.e2e.upstream import Upstreams
from tests.e2e.wire import Answer, Headers, Wire, bearer
from tests.e2e.world import PARIS, VIRGINIA
from tests.envoy_process import EnvoyProcess, free_port, wait_until

GATEWAYS = {"paris": PARIS, "virginia": VIRGINIA}
"""The region of each gateway's one Envoy. Virginia's fetches models with their first request."""


@dataclass(frozen=True)
class Crossing:
    """All that runs; `token` is that of a plain member of the workspace acme."""

    folder: Path
    control: ControlRoom
    envoys: dict[str, EnvoyProcess]
    ports: dict[str, int]
    upstreams: Upstreams
    issuer: TestIssuer
    token: str

    def put(self, name: str, deployment: Manifest, **spec: Any) -> None:
        """Declare a model in production (unless its deployment says otherwise), and wait until the Envoys know."""
        self.save(lambda: self.write(name, manifest("Model", name, "acme", deployments=[deployment], **spec)))

    def write(self, name: str, *manifests: Manifest) -> None:
        write(self.folder, f"acme/{name}.yaml", manifests)

    def save(self, change: Callable[[], Any]) -> None:
        """Make a change to the folder, and wait until the Envoys have what they are sent of it."""
        change()
        # A mistake of a moment ago may be published only now.
        wait_until(
            lambda: self.control.current() and not self.control.newest.built.errors, "the change is served"
        )
        self.settle()

    def settle(self) -> None:
        wait_until(lambda: self.control.settled(self.envoys), "the Envoys have what they are sent")

    def revision(self, name: str, weight: int, *labels: str, **more: Any) -> Manifest:
        """A revision whose backends are upstreams: by itself, the one that is called like it, in Paris."""
        backends = [backend(PARIS, self.upstreams[each].address, **more) for each in labels or (name,)]
        return revision(name, *backends, weight=weight)

    def deploy(self, *revisions: Manifest, **more: Any) -> Manifest:
        return {"environment": "production", "revisions": list(revisions), **more}

    def ask(self, target: str, headers: Headers = (), gateway: str = "paris", method: str = "GET") -> Answer:
        """Ask as the plain member, unless the headers hold a token."""
        own = headers if any(name.lower() == "authorization" for name, _ in headers) else None
        with self.connect(gateway) as wire:
            return wire.ask(f"/acme/models/{target}", method, own or [*bearer(self.token), *headers])

    def connect(self, gateway: str) -> Wire:
        return Wire(self.ports[gateway])

    def deal(self, name: str, callers: dict[str, Headers], gateway: str = "paris") -> dict[str, str]:
        """Which upstream answers each caller."""
        with self.connect(gateway) as wire:
            return {
                caller: str(wire.ask(f"/acme/models/{name}", headers=headers).json()["upstream"])
                for caller, headers in callers.items()
            }


@contextmanager
def run_crossing(root: Path) -> Iterator[Crossing]:
    """Start all of it, with two upstreams and no model yet."""
    folder, issuer = root / "policies", TestIssuer.make("https://crossing.test")
    ports = {name: free_port() for name in GATEWAYS}
    put(folder / "keys/jwks.json", issuer.jwks())
    keys = {"file": "keys/jwks.json"}
    fleet = [
        manifest(
            "Gateway",
            name,
            listeners=[{"name": "run", "address": "127.0.0.1", "port": port}],
            delivery="on-demand" if name == "virginia" else "eager",
            timeouts=PATIENT,
        )
        for name, port in ports.items()
    ]
    write(
        folder,
        "fleet.yaml",
        [*fleet, manifest("Issuer", "main", issuer=issuer.issuer, audiences=[AUDIENCE], jwks=keys)],
    )
    write(folder, "acme/workspace.yaml", [manifest("Workspace", "acme", issuers=["main"])])
    with ExitStack() as running:
        upstreams = running.enter_context(Upstreams())
        for name in ("v1", "v2", "v3"):
            upstreams.serve(name)
        control = running.enter_context(ControlRoom(folder))
        envoys = {
            name: make_member(root, name, region, control.port, "delta") for name, region in GATEWAYS.items()
        }
        for envoy in envoys.values():
            running.enter_context(envoy)
        for envoy in envoys.values():
            envoy.wait_ready()
        made = Crossing(folder, control, envoys, ports, upstreams, issuer, issuer.token("acme"))
        made.settle()
        yield made
