"""A `fairlead serve` process, two Envoys that follow it, and traffic that must not notice what it goes through."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.fleet import make_member
from tests.e2e.manifest import Manifest, backend, manifest, put, revision, workload, write
from tests.e2e.serving import Serving
from tests.e2e.tokens import AUDIENCE, TestIssuer
from tests.e2e.upstream import Upstreams
from tests.e2e.wire import Answer, Wire, ask, bearer
from tests.e2e.world import PARIS, VIRGINIA
from tests.envoy_process import EnvoyProcess, free_port, wait_until
from tests.xds.envoys import still

FAIRLEAD = Path(sys.executable).with_name("fairlead")
MODELS = {"acme": ("llama", "qwen"), "beta": ("gemma",)}
PATHS = tuple(f"/{workspace}/models/{name}" for workspace, names in MODELS.items() for name in names)


@dataclass
class SteadyFleet:
    """The folder, the server, and an Envoy of each variant."""

    folder: Path
    serving: Serving
    issuer: TestIssuer
    upstreams: Upstreams
    ports: dict[str, int]
    envoys: dict[str, EnvoyProcess] = field(default_factory=dict)

    def write(
        self, workspace: str, *, issuers: Sequence[str] = ("live",), models: Sequence[str] = ()
    ) -> None:
        """Save all of a workspace as one file."""
        chosen = models or MODELS[workspace]
        own = [self.model(workspace, name) for name in chosen]
        write(
            self.folder, f"{workspace}.yaml", [manifest("Workspace", workspace, issuers=list(issuers)), *own]
        )

    def model(self, workspace: str, name: str, upstream: str = "one") -> Manifest:
        one = revision("v1", backend(PARIS, self.upstreams[upstream].address))
        return workload(name, workspace, {"production": [one]})

    def write_fleet(self) -> None:
        gateways = [
            manifest("Gateway", name, listeners=[{"name": "run", "address": "127.0.0.1", "port": port}])
            for name, port in self.ports.items()
        ]
        spec: dict[str, Any] = {"issuer": self.issuer.issuer, "audiences": [AUDIENCE]}
        write(
            self.folder,
            "fleet.yaml",
            [*gateways, manifest("Issuer", "live", jwks={"file": "keys/jwks.json"}, **spec)],
        )

    def break_workspace(self, workspace: str) -> None:
        """A typing error in the file of a workspace."""
        text = (self.folder / f"{workspace}.yaml").read_text()
        put(self.folder / f"{workspace}.yaml", text.replace("deployments:", "deploymints:", 1))

    def counters(self) -> dict[str, dict[str, int]]:
        """What moves in an Envoy when a listener or cluster changes, or is sent again."""
        return {name: still(envoy) for name, envoy in self.envoys.items()}

    def settle(self, after: int = -1) -> None:
        wait_until(
            lambda: self.serving.settled(after=after, envoys=self.envoys), "the fleet has what is served"
        )

    def ask(self, path: str) -> list[Answer]:
        token = bearer(self.issuer.token("acme", "beta"))
        return [ask(port, path, headers=token) for port in self.ports.values()]

    def served(self) -> set[int]:
        """The statuses of all models through both Envoys."""
        return {answer.status for path in PATHS for answer in self.ask(path)}

    def kept(self, owner: str) -> str:
        """What is on disk for an owner, `fleet` or `workspace.acme`; nothing is the empty string."""
        found = list(self.serving.state.glob(f"last-good/*/{owner}.jsonl"))
        return found[0].read_text() if found else ""

    def wait_kept(self) -> None:
        """Wait until the disk has all of it."""
        owners = ("fleet", "workspace.acme", "workspace.beta")
        wait_until(lambda: all(map(self.kept, owners)), "the last good state is on disk")

    def problems(self) -> dict[str, str]:
        found: dict[str, str] = self.serving.ask("/readyz")["problems"]
        return found

    def release(self, *digest: str) -> subprocess.CompletedProcess[str]:
        """`fairlead release`."""
        command = [FAIRLEAD, "release", *digest, "--admin", self.serving.admin]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    @contextmanager
    def traffic(self) -> Iterator[None]:
        """Ask for each model through each Envoy over and over meanwhile: every answer is a 200."""
        end, bad, count = threading.Event(), list[object](), [0]

        def run(port: int) -> None:
            token = bearer(self.issuer.token("acme", "beta"))
            with Wire(port) as wire:
                while not end.is_set():
                    for path in PATHS:
                        answer = wire.ask(path, headers=token)
                        count[0] += 1
                        if answer.status != 200:
                            bad.append((path, answer))

        threads = [threading.Thread(target=run, args=(port,)) for port in self.ports.values()]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            end.set()
            for thread in threads:
                thread.join()
        assert bad[:3] == []
        assert count[0] > len(PATHS)


@contextmanager
def steady_fleet(root: Path) -> Iterator[SteadyFleet]:
    """Start everything, and wait until the fleet has it and the disk too."""
    folder, issuer = root / "policies", TestIssuer.make("https://steady.test")
    ports = {"delta": free_port(), "sotw": free_port()}
    put(folder / "keys/jwks.json", issuer.jwks())
    with ExitStack() as running:
        upstreams = running.enter_context(Upstreams())
        upstreams.serve("one")
        upstreams.serve("two")
        serving = Serving(folder, root / "serve.log")
        fleet = SteadyFleet(folder, serving, issuer, upstreams, ports)
        fleet.write_fleet()
        for workspace in MODELS:
            fleet.write(workspace)
        running.enter_context(serving)
        fleet.envoys = {
            name: make_member(root, name, region, serving.xds_port, variant)
            for name, region, variant in (("delta", PARIS, "delta"), ("sotw", VIRGINIA, "sotw"))
        }
        for envoy in fleet.envoys.values():
            running.enter_context(envoy)
        for envoy in fleet.envoys.values():
            envoy.wait_ready()
        fleet.settle()
        fleet.wait_kept()
        assert fleet.served() == {200}
        yield fleet
        assert [stalls for envoy in fleet.envoys.values() if (stalls := envoy.stalls())] == []
