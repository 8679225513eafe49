"""A small world in which every type of resource is used: two listeners, one of them with TLS, and two workspaces."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.e2e.certificates import Certificates
from tests.e2e.manifest import Manifest, backend, manifest, put, revision, workload, write
from tests.e2e.tokens import AUDIENCE, TestIssuer
from tests.e2e.upstream import Upstreams
from tests.envoy_process import free_port

REGION = "eu-west-3"
GATEWAY = "edge"
HOST = "run.example.test"
_UPSTREAM_HOST = "models.internal.test"


@dataclass
class World:
    """The policy folder and what stands behind it."""

    folder: Path
    upstreams: Upstreams
    issuer: TestIssuer = field(default_factory=lambda: TestIssuer.make("https://matrix.test"))
    certificates: Certificates = field(default_factory=Certificates.make)
    ports: dict[str, int] = field(default_factory=lambda: {"run": free_port(), "secure": free_port()})

    @property
    def token(self) -> str:
        """Of one who may use both workspaces."""
        return self.issuer.token("acme", "beta")

    def write_fleet(self) -> None:
        """Save the gateway and the issuer: listeners, and nothing behind them."""
        put(self.folder / "keys/jwks.json", self.issuer.jwks())
        put(self.folder / "certs/run.crt", self.certificates.chain(HOST))
        put(self.folder / "certs/run.key", self.certificates.key)
        put(self.folder / "certs/ca.pem", self.certificates.authority)
        write(self.folder, "fleet.yaml", [self._gateway(), self._issuer()])

    def write_workspaces(self) -> None:
        """Save the workspaces and the models that are there from the beginning."""
        for name in ("acme", "beta"):
            write(self.folder, f"{name}/workspace.yaml", [manifest("Workspace", name, issuers=["main"])])
        both = {"production": self._revisions("v1"), "development": self._revisions("v2")}
        write(self.folder, "acme/llama.yaml", [workload("llama", "acme", both)])
        self.write_model("acme", "busy", r0=1)
        self.write_model("beta", "steady", s0=1)
        self.write_model("beta", "going", g0=1)
        self.write_sealed("sealed")

    def write_model(self, workspace: str, name: str, **weights: int) -> None:
        """Save a model in production; each revision has an upstream that is called like it."""
        model = workload(name, workspace, {"production": self._revisions(**weights)})
        write(self.folder, f"{workspace}/{name}.yaml", [model])

    def write_sealed(self, name: str) -> None:
        """Save a model behind TLS: its cluster needs a secret."""
        if "sealed" not in self.upstreams:
            self.upstreams.serve("sealed", self.certificates.server(_UPSTREAM_HOST))
        address = f"https://{self.upstreams['sealed'].address}"
        tls = {"sni": _UPSTREAM_HOST, "ca": "../certs/ca.pem"}
        model = workload(name, "acme", {"production": [revision("t0", backend(REGION, address, tls=tls))]})
        write(self.folder, f"acme/{name}.yaml", [model])

    def remove_model(self, workspace: str, name: str) -> None:
        (self.folder / f"{workspace}/{name}.yaml").unlink()

    def add_listener(self, name: str) -> None:
        """Save the gateway with one more listener."""
        self.ports[name] = free_port()
        write(self.folder, "fleet.yaml", [self._gateway(), self._issuer()])

    def _revisions(self, *names: str, **weights: int) -> list[Manifest]:
        found = []
        for name, weight in {**dict.fromkeys(names, 1), **weights}.items():
            if name not in self.upstreams:
                self.upstreams.tally(name)
            at = self.upstreams[name].address
            found.append(revision(name, backend(REGION, at), weight=weight))
        return found

    def _gateway(self) -> Manifest:
        return manifest("Gateway", GATEWAY, listeners=[self._listener(*each) for each in self.ports.items()])

    def _listener(self, name: str, port: int) -> dict[str, Any]:
        plain: dict[str, Any] = {"name": name, "address": "127.0.0.1", "port": port}
        if name == "secure":
            plain["tls"] = {"certificate": "certs/run.crt", "key": "certs/run.key"}
        return plain

    def _issuer(self) -> Manifest:
        jwks = {"file": "keys/jwks.json"}
        return manifest("Issuer", "main", issuer=self.issuer.issuer, audiences=[AUDIENCE], jwks=jwks)
