"""Three real Envoys in three regions, a control plane, and a model's process in each place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.process import Heard, ModelProcess
from tests.e2e.fleet import make_member
from tests.e2e.manifest import Manifest, backend, manifest, put, revision, write
from tests.e2e.registrar import Registrar
from tests.e2e.serving import Serving
from tests.e2e.tokens import AUDIENCE, TestIssuer
from tests.e2e.wire import Answer, Headers, Wire, bearer
from tests.envoy_process import PATIENCE, EnvoyProcess, free_port, wait_until
from xds_server.bootstrap import Variant

PARIS, FRANKFURT, DUBLIN = "eu-west-3", "eu-central-1", "eu-west-1"
VIRGINIA, TOKYO = "us-east-1", "ap-northeast-1"
PLACES = (PARIS, FRANKFURT, DUBLIN, VIRGINIA, TOKYO)
FORBIDDEN = "forbidden"
_COMES_BACK = 30.0
"""Seconds that an Envoy may let pass, at random, until it tries again to reach a control plane that was away."""
CLAIM = "residency"
"""The claim by which a token binds its caller."""

# One in each way in which an Envoy may come to its models.
_GATEWAYS: dict[str, tuple[str, Variant, str]] = {
    "paris": (PARIS, "delta", "on-demand"),
    "virginia": (VIRGINIA, "delta", "eager"),
    "tokyo": (TOKYO, "sotw", "eager"),
}
GATEWAYS = tuple(_GATEWAYS)
REGIONS = {name: region for name, (region, _, _) in _GATEWAYS.items()}
NEXT = {"paris": FRANKFURT, "virginia": PARIS, "tokyo": FRANKFURT}
"""Where each gateway's requests go when the place in its own region is down, of a model without one in Dublin."""
EAGER = tuple(name for name, (_, _, delivery) in _GATEWAYS.items() if delivery == "eager")


@dataclass(frozen=True)
class Fleet:
    """What runs. `models` are by place, `forbidden` is a second one in Virginia; `headers` are those of a member."""

    folder: Path
    serving: Serving
    registrar: Registrar
    envoys: dict[str, EnvoyProcess]
    ports: dict[str, int]
    models: dict[str, ModelProcess]
    issuer: TestIssuer
    headers: Headers

    def deploy(
        self,
        name: str,
        *places: str | Manifest,
        policies: tuple[str, ...] = (),
        check: Any = None,
        **said: Any,
    ) -> None:
        """Declare a model of one revision in the places, and wait until every Envoy has what it is sent."""
        checked = {} if check is None else {"healthCheck": check}
        self.put(
            name, self.deployment(self.revision("v1", *places, **checked), policies=list(policies), **said)
        )

    def deployment(self, *revisions: Manifest, **said: Any) -> Manifest:
        return {"environment": "production", "revisions": list(revisions), **said}

    def revision(self, name: str, *places: str | Manifest, **said: Any) -> Manifest:
        """A revision with a backend in each of the places: the model's process there."""
        return revision(
            name, *(self.backend(each) if isinstance(each, str) else each for each in places), **said
        )

    def backend(self, place: str, **said: Any) -> Manifest:
        """The model's process of a place, as a backend there; `forbidden` is one in Virginia."""
        return backend(VIRGINIA if place == FORBIDDEN else place, self.models[place].address, **said)

    def put(self, name: str, *deployments: Manifest, **spec: Any) -> None:
        """Declare a model, and wait until every Envoy has what it is sent."""
        declared = manifest("Model", name, "acme", deployments=list(deployments), **spec)
        self.save(lambda: write(self.folder, f"acme/{name}.yaml", [declared]))
        # Routes are asked for when their scope is acknowledged: for a moment there is nothing to be acknowledged.
        self.wait_for_routes(name, *EAGER)

    def wait_for_routes(self, name: str, *gateways: str) -> None:
        """Wait until Envoys know a model; those that ask for models on demand ask for it then."""
        for gateway in gateways:
            wait_until(
                lambda gateway=gateway: (
                    self.ask(gateway, f"{name}?environment=").code == "DEPLOYMENT_NOT_FOUND"
                ),
                f"{gateway} has the routes of {name}",
            )

    def save(self, change: Callable[[], object]) -> None:
        """Make a change to the folder, and wait until every Envoy has what it is sent of it."""
        before = self.serving.generation()
        assert before is not None
        change()
        self.settle(before)

    def settle(self, after: int = -1) -> None:
        """Wait until every Envoy has acknowledged all of what is served, of a generation after that one."""
        try:
            wait_until(
                lambda: self.serving.settled(*GATEWAYS, after=after),
                "every Envoy has what it is sent",
                PATIENCE + _COMES_BACK,
            )
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.serving.log[-4000:]}") from error

    def restart(self) -> None:
        """Kill the control plane, start it again, and wait until every Envoy is back."""
        with self.alone():
            pass

    @contextmanager
    def alone(self) -> Iterator[None]:
        """The Envoys without a control plane: it is killed, and started again in the end."""
        self.serving.kill()
        try:
            yield
        finally:
            self.serving.start()
            self.settle()

    def bearer(self, **claims: Any) -> Headers:
        """The token of a member with further claims."""
        return bearer(self.issuer.token("acme", **claims))

    def connect(self, gateway: str) -> Wire:
        return Wire(self.ports[gateway])

    def ask(self, gateway: str, target: str, headers: Headers | None = None, method: str = "GET") -> Answer:
        """Ask for a model and what follows; the headers are those of a plain member unless there are others."""
        with self.connect(gateway) as wire:
            return wire.ask(f"/acme/models/{target}", method, self.headers if headers is None else headers)

    def deal(self, gateway: str, model: str, callers: Mapping[str, Headers]) -> dict[str, str]:
        """The revision that each caller meets; nobody may meet an error."""
        met = {}
        with self.connect(gateway) as wire:
            for caller, headers in callers.items():
                answer = wire.ask(f"/acme/models/{model}", headers=headers)
                assert answer.status == 200, (caller, answer)
                met[caller] = str(answer.json()["headers"]["x-fairlead-revision"])
        return met

    def mark(self) -> dict[str, int]:
        """How much each model's process has been asked so far."""
        return {name: len(each.heard()) for name, each in self.models.items()}

    def heard(self, model: str, since: Mapping[str, int]) -> dict[str, list[Heard]]:
        """The requests for a model that each process had since a mark; those that had none are left out."""
        found = {
            name: [heard for heard in each.heard()[since[name] :] if heard.name == model]
            for name, each in self.models.items()
        }
        return {name: requests for name, requests in found.items() if requests}


@contextmanager
def run_fleet(root: Path) -> Iterator[Fleet]:
    """Start everything, with a workspace and a policy `europe` and without a model."""
    folder, issuer, registrar = root / "policies", TestIssuer.make("https://chaos.test"), Registrar(root)
    ports = {name: free_port() for name in _GATEWAYS}
    _write_fleet(folder, issuer, ports)
    options = ("--load-interval", "1s", *registrar.options())
    with ExitStack() as running:
        models = {name: running.enter_context(ModelProcess(name, root)) for name in (*PLACES, FORBIDDEN)}
        serving = running.enter_context(Serving(folder, root / "serve.log", options=options))
        envoys = {
            name: make_member(root, name, region, serving.xds_port, variant, load_reports=True)
            for name, (region, variant, _) in _GATEWAYS.items()
        }
        for envoy in envoys.values():
            running.enter_context(envoy)
        for envoy in envoys.values():
            envoy.wait_ready()
        member = bearer(issuer.token("acme"))
        fleet = Fleet(folder, serving, registrar, envoys, ports, models, issuer, member)
        fleet.settle()
        yield fleet
        assert [stalls for envoy in envoys.values() if (stalls := envoy.stalls())] == []


def _write_fleet(folder: Path, issuer: TestIssuer, ports: Mapping[str, int]) -> None:
    put(folder / "keys/jwks.json", issuer.jwks())
    gateways = [
        manifest(
            "Gateway",
            name,
            listeners=[{"name": "run", "address": "127.0.0.1", "port": ports[name]}],
            delivery=delivery,
        )
        for name, (_, _, delivery) in _GATEWAYS.items()
    ]
    trust = {"issuer": issuer.issuer, "audiences": [AUDIENCE], "jwks": {"file": "keys/jwks.json"}}
    write(folder, "fleet.yaml", [*gateways, manifest("Issuer", "chaos", **trust, residencyClaim=CLAIM)])
    europe = [{"type": "continent", "name": "eu"}]
    workspace = [
        manifest("Workspace", "acme", issuers=["chaos"]),
        manifest("Policy", "europe", "acme", type="location", locations=europe),
    ]
    write(folder, "acme/workspace.yaml", workspace)
