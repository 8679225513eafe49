"""Three real Envoys in three regions, a control plane, and a model's process in each place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.process import ModelProcess
from tests.e2e.fleet import make_member
from tests.e2e.manifest import Manifest, backend, manifest, put, revision, write
from tests.e2e.serving import Serving
from tests.e2e.tokens import AUDIENCE, TestIssuer
from tests.e2e.wire import bearer
from tests.envoy_process import EnvoyProcess, free_port, wait_until
from xds_server.compiler import Variant

PARIS, FRANKFURT, DUBLIN = "eu-west-3", "eu-central-1", "eu-west-1"
VIRGINIA, TOKYO = "us-east-1", "ap-northeast-1"
PLACES = (PARIS, FRANKFURT, DUBLIN, VIRGINIA, TOKYO)
FORBIDDEN = "forbidden"

# One in each way in which an Envoy may come to its models.
_GATEWAYS: dict[str, tuple[str, Variant, str]] = {
    "paris": (PARIS, "delta", "on-demand"),
    "virginia": (VIRGINIA, "delta", "eager"),
    "tokyo": (TOKYO, "sotw", "eager"),
}
GATEWAYS = tuple(_GATEWAYS)
REGIONS = {name: region for name, (region, _, _) in _GATEWAYS.items()}


@dataclass(frozen=True)
class Fleet:
    """What runs. `models` are by place, and `forbidden` is a second one in Virginia."""

    folder: Path
    serving: Serving
    envoys: dict[str, EnvoyProcess]
    ports: dict[str, int]
    models: dict[str, ModelProcess]
    headers: list[tuple[str, str]]

    def deploy(self, name: str, *places: str | Manifest, policies: tuple[str, ...] = (), **said: Any) -> None:
        """Declare a model with a backend in each of the places, and wait until every Envoy has what it is sent."""
        backends = [
            place if isinstance(place, dict) else backend(place, self.models[place].address)
            for place in places
        ]
        check = said.pop("check", None)
        checked = {} if check is None else {"healthCheck": check}
        deployment = {
            "environment": "production",
            "policies": list(policies),
            "revisions": [revision("v1", *backends, **checked)],
            **said,
        }
        before = self.serving.generation()
        assert before is not None
        write(self.folder, f"acme/{name}.yaml", [manifest("Model", name, "acme", deployments=[deployment])])
        wait_until(lambda: self.serving.settled(*GATEWAYS, after=before), "every Envoy has the model")

    def standby(self, place: str) -> Manifest:
        return backend(place, self.models[place].address, standby=True)


@contextmanager
def run_fleet(root: Path) -> Iterator[Fleet]:
    """Start everything, with a workspace and a policy `europe` and without a model."""
    folder, issuer = root / "policies", TestIssuer.make("https://chaos.test")
    ports = {name: free_port() for name in _GATEWAYS}
    put(folder / "keys/jwks.json", issuer.jwks())
    fleet = [
        manifest(
            "Gateway",
            name,
            listeners=[{"name": "run", "address": "127.0.0.1", "port": ports[name]}],
            delivery=delivery,
        )
        for name, (_, _, delivery) in _GATEWAYS.items()
    ]
    keys = {"file": "keys/jwks.json"}
    fleet.append(manifest("Issuer", "chaos", issuer=issuer.issuer, audiences=[AUDIENCE], jwks=keys))
    write(folder, "fleet.yaml", fleet)
    europe = [{"type": "continent", "name": "eu"}]
    workspace = [
        manifest("Workspace", "acme", issuers=["chaos"]),
        manifest("Policy", "europe", "acme", type="location", locations=europe),
    ]
    write(folder, "acme/workspace.yaml", workspace)
    with ExitStack() as running:
        models = {name: running.enter_context(ModelProcess(name, root)) for name in (*PLACES, FORBIDDEN)}
        serving = running.enter_context(Serving(folder, root / "serve.log"))
        envoys = {
            name: make_member(root, name, region, serving.xds_port, variant)
            for name, (region, variant, _) in _GATEWAYS.items()
        }
        for envoy in envoys.values():
            running.enter_context(envoy)
        for envoy in envoys.values():
            envoy.wait_ready()
        wait_until(lambda: serving.settled(*GATEWAYS), "every Envoy has what it is sent")
        yield Fleet(folder, serving, envoys, ports, models, list(bearer(issuer.token("acme"))))
        assert [stalls for envoy in envoys.values() if (stalls := envoy.stalls())] == []
