"""A gateway whose Envoy fetches models with their first request: `fairlead serve` on a folder, and the models."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.fleet import make_member
from tests.e2e.manifest import Manifest, backend, manifest, put, revision, workload, write
from tests.e2e.serving import Serving
from tests.e2e.tokens import AUDIENCE, TestIssuer
from tests.e2e.upstream import Upstreams
from tests.e2e.wire import Answer, Headers, ask, bearer
from tests.e2e.world import PARIS
from tests.envoy_process import EnvoyProcess, free_port, wait_until

NODE = "cold"

PATIENT = {"coldStart": "10s"}
"""Of a gateway that waits for what a first request needs as long as it may take on a busy machine."""


@dataclass(frozen=True)
class Cold:
    """One Envoy, on demand; `token` opens the workspace acme and has the role of a member."""

    folder: Path
    serving: Serving
    envoy: EnvoyProcess
    port: int
    upstreams: Upstreams
    issuer: TestIssuer
    token: str

    def save(self, change: Callable[[], Any]) -> None:
        """Make a change to the folder, and wait until the Envoy has what it is sent of it."""
        before = self.serving.generation()
        assert before is not None
        change()
        self.settle(before)

    def write(self, name: str, *labels: str, **more: Any) -> None:
        self.save(lambda: self.put(name, *labels, **more))

    def put(self, name: str, *labels: str, **more: Any) -> None:
        write(self.folder, f"acme/{name}.yaml", [self.model(name, *labels, **more)])

    def remove(self, name: str) -> None:
        self.save((self.folder / f"acme/{name}.yaml").unlink)

    def model(self, name: str, *labels: str, **more: Any) -> Manifest:
        """A model in production whose revisions are called like the upstreams that they lead to."""
        return workload(name, "acme", {"production": self.revisions(*labels)}, **more)

    def revisions(self, *labels: str) -> list[Manifest]:
        return [revision(each, backend(PARIS, self.upstreams[each].address), weight=1) for each in labels]

    def settle(self, after: int = -1) -> None:
        envoys = {NODE: self.envoy}
        wait_until(lambda: self.serving.settled(after=after, envoys=envoys), "the Envoy has what it is sent")

    def ask(self, name: str, method: str = "GET", body: bytes = b"", headers: Headers = ()) -> Answer:
        return ask(self.port, f"/acme/models/{name}", method, [*bearer(self.token), *headers], body)

    def served(self, name: str) -> str:
        """Which upstream answers; a refusal is its code."""
        answer = self.ask(name)
        return str(answer.json()["upstream"] if answer.status == 200 else answer.code)

    def clusters(self) -> set[str]:
        """The clusters that the Envoy has, of acme."""
        lines = self.envoy.get("/clusters").text.splitlines()
        return {name for line in lines if (name := line.partition("::")[0]).startswith("acme/")}

    def held(self, kind: str) -> set[str]:
        """The names of a type that the control plane was asked for, or sent."""
        (stream,) = self.serving.ask(f"/nodes/{NODE}")["streams"]
        return {each["name"] for each in stream["types"].get(kind, {"resources": []})["resources"]}


@contextmanager
def run_cold(root: Path, **spec: Any) -> Iterator[Cold]:
    """Start all of it, with an Envoy that has what it is sent at the start."""
    folder, issuer, port = root / "policies", TestIssuer.make("https://cold.test"), free_port()
    put(folder / "keys/jwks.json", issuer.jwks())
    listeners = [{"name": "run", "address": "127.0.0.1", "port": port}]
    keys = {"file": "keys/jwks.json"}
    fleet = [
        manifest(
            "Gateway", NODE, listeners=listeners, **{"delivery": "on-demand", "timeouts": PATIENT, **spec}
        ),
        manifest("Issuer", "cold", issuer=issuer.issuer, audiences=[AUDIENCE], jwks=keys),
    ]
    write(folder, "fleet.yaml", fleet)
    for name in ("acme", "beta"):
        write(folder, f"{name}/workspace.yaml", [manifest("Workspace", name, issuers=["cold"])])
    with ExitStack() as running:
        upstreams = running.enter_context(Upstreams())
        for name in ("one", "two", "three"):
            upstreams.serve(name)
        foreign = revision("v1", backend(PARIS, upstreams["one"].address))
        write(folder, "beta/llama.yaml", [workload("llama", "beta", {"production": [foreign]})])
        serving = running.enter_context(Serving(folder, root / "serve.log"))
        envoy = running.enter_context(make_member(root, NODE, PARIS, serving.xds_port, "delta"))
        envoy.wait_ready()
        token = issuer.token("acme", role="member")
        made = Cold(folder, serving, envoy, port, upstreams, issuer, token)
        made.settle()
        yield made
        # What nobody could answer for 15 s counts as one; the tests call it unused, and start the control plane again.
        assert {name for name in envoy.stalls() if "/unused" not in name} == set()
