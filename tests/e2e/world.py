"""The world of the tests that change nothing: workspaces, models and gateways for each row of what clients get."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.e2e.certificates import Certificates
from tests.e2e.manifest import Manifest, backend, manifest, put, revision, workload, write
from tests.e2e.tokens import AUDIENCE, TestIssuer
from tests.e2e.upstream import Upstreams
from tests.envoy_process import free_port

PARIS, VIRGINIA, FRANKFURT, MONTREAL = "eu-west-3", "us-east-1", "eu-central-1", "ca-central-1"

# Share of requests per revision of acme's `split` in development; `idle` stands there with weight 0.
SPLIT = {"large": 70, "small": 25, "rare": 5, "idle": 0}


@dataclass(frozen=True)
class Ports:
    """Where the gateways listen."""

    paris: int
    virginia: int
    brisk: int
    hosts: int
    secure: int

    @classmethod
    def take(cls) -> Ports:
        return cls(*(free_port() for _ in range(5)))


CONNECTIONS = 40
"""How many connections the brisk gateway takes on."""


@dataclass(frozen=True)
class Issuers:
    """Whom the world believes, and `stranger`, whom it does not."""

    main: TestIssuer
    partner: TestIssuer
    remote: TestIssuer
    stranger: TestIssuer

    @classmethod
    def make(cls) -> Issuers:
        return cls(
            *(TestIssuer.make(f"https://{name}.test") for name in ("main", "partner", "remote", "stranger"))
        )


def write_world(
    folder: Path,
    upstreams: Upstreams,
    ports: Ports,
    issuers: Issuers,
    certificates: Certificates,
    keys_uri: str,
) -> None:
    """Start the upstreams and write the policies that lead to them."""
    put(folder / "keys/main.json", issuers.main.jwks())
    put(folder / "certs/run.crt", certificates.chain("run.example.test", "*.models.example.test"))
    put(folder / "certs/run.key", certificates.key)
    put(folder / "certs/ca.pem", certificates.authority)
    put(folder / "certs/other-ca.pem", Certificates.make().authority)
    write(folder, "fleet.yaml", [*_gateways(ports), *_issuers(issuers, keys_uri)])
    write(folder, "acme/workspace.yaml", _acme_itself())
    write(folder, "acme/models.yaml", _acme(upstreams, certificates))
    write(folder, "acme/failing.yaml", _acme_failing(upstreams))
    for name, trusted in {
        "beta": ["main"],
        "gamma": ["partner"],
        "void": [],
        "afar": ["remote", "main"],
    }.items():
        address = upstreams.serve(name).address
        model = workload("llama", name, {"production": [revision("v1", backend(PARIS, address))]})
        write(folder, f"{name}.yaml", [manifest("Workspace", name, issuers=trusted), model])
    write(folder, "lab.yaml", _lab(upstreams))


def _gateways(ports: Ports) -> list[Manifest]:
    def listener(name: str, port: int, **more: object) -> dict[str, object]:
        return {"name": name, "address": "127.0.0.1", "port": port, **more}

    names = {"hostnames": ["run.example.test", "*.models.example.test"]}
    certificate = {"certificate": "certs/run.crt", "key": "certs/run.key"}
    return [
        manifest(
            "Gateway",
            "paris",
            listeners=[
                listener("run", ports.paris),
                listener("hosts", ports.hosts, **names),
                listener("secure", ports.secure, **names, tls=certificate),
            ],
        ),
        manifest("Gateway", "virginia", listeners=[listener("run", ports.virginia)]),
        manifest(
            "Gateway",
            "brisk",
            listeners=[listener("run", ports.brisk)],
            paths={"encodedSlashes": "keep"},
            limits={"requestHeadersKiB": 8, "connections": CONNECTIONS},
            timeouts={"idle": "2s", "headers": "1s", "total": "5s"},
        ),
    ]


def _issuers(issuers: Issuers, keys_uri: str) -> list[Manifest]:
    return [
        manifest(
            "Issuer",
            "main",
            issuer=issuers.main.issuer,
            audiences=[AUDIENCE, "other-audience"],
            jwks={"file": "keys/main.json"},
            headers=["Authorization", "X-Blaxel-Authorization"],
            clockSkew="1s",
        ),
        manifest(
            "Issuer",
            "partner",
            issuer=issuers.partner.issuer,
            audiences=[AUDIENCE],
            jwks={"inline": {"keys": [issuers.partner.jwk()]}},
            workspacesClaim=["realm", "workspaces"],
            forwardToken=True,
        ),
        manifest(
            "Issuer", "remote", issuer=issuers.remote.issuer, audiences=[AUDIENCE], jwks={"uri": keys_uri}
        ),
    ]


def _acme_itself() -> list[Manifest]:
    europe = {"type": "location", "locations": [{"type": "continent", "name": "eu"}]}
    return [
        manifest("Workspace", "acme", issuers=["main"]),
        manifest("Environment", "staging", "acme"),
        manifest("Environment", "preview", "acme"),
        manifest("Environment", "sovereign", "acme", policies=["europe"]),
        manifest("Policy", "europe", "acme", **europe),
    ]


def _acme(upstreams: Upstreams, certificates: Certificates) -> list[Manifest]:
    paris, virginia = upstreams.serve("paris"), upstreams.serve("virginia")
    development, agent, function = (upstreams.serve(name) for name in ("development", "agent", "function"))
    frankfurt, montreal = upstreams.serve("frankfurt"), upstreams.serve("montreal")
    secure = upstreams.serve("secure", certificates.server("models.internal.test"))
    anywhere = revision("v1", backend(PARIS, paris.address), backend(VIRGINIA, virginia.address))
    here = revision("v1", backend(PARIS, paris.address))
    switched_off = {"environment": "preview", "enabled": False, "revisions": [here]}
    llama = workload(
        "llama",
        "acme",
        {"production": [anywhere], "development": [revision("v2", backend(PARIS, development.address))]},
    )
    llama["spec"]["deployments"].append(switched_off)
    near = revision("v1", backend(MONTREAL, montreal.address), backend(FRANKFURT, frankfurt.address))
    standby = revision("v1", backend(PARIS, paris.address, standby=True), backend(VIRGINIA, virginia.address))
    prefixed = revision(
        "v1",
        backend(PARIS, paris.address, pathPrefix="/inner/v2"),
        backend(VIRGINIA, virginia.address, pathPrefix="/outer/"),
    )
    split = [
        revision(name, backend(PARIS, upstreams.tally(f"split-{name}").address), weight=weight)
        for name, weight in SPLIT.items()
    ]
    host, port = secure.address.split(":")
    trusted = {"sni": "models.internal.test", "ca": "../certs/ca.pem"}
    distrusted = {"sni": "models.internal.test", "ca": "../certs/other-ca.pem"}
    misnamed = {"sni": "elsewhere.internal.test", "ca": "../certs/ca.pem"}
    models = {
        "near": near,
        "standby": standby,
        "prefixed": prefixed,
        "llama-3.1_8b": here,
        "named": revision("v1", backend(PARIS, f"localhost:{paris.port}")),
        "encrypted": revision("v1", backend(PARIS, f"https://{host}:{port}", tls=trusted)),
        "encrypted-named": revision("v1", backend(PARIS, f"https://localhost:{port}", tls=trusted)),
        "half-encrypted": revision(
            "v1",
            backend(PARIS, f"https://{host}:{port}", tls=trusted),
            backend(FRANKFURT, frankfurt.address, standby=True),
        ),
        "half-in-the-clear": revision(
            "v1",
            backend(PARIS, frankfurt.address),
            backend(FRANKFURT, f"https://{host}:{port}", tls=trusted, standby=True),
        ),
        "distrusted": revision("v1", backend(PARIS, f"https://{host}:{port}", tls=distrusted)),
        "misnamed": revision("v1", backend(PARIS, f"https://{host}:{port}", tls=misnamed)),
    }
    admins = {
        "claims": [
            {"claim": "role", "anyOf": ["admin", "owner"]},
            {"claim": ["team", "unit"], "anyOf": ["ml"]},
        ]
    }
    return [
        llama,
        workload("split", "acme", {"development": split, "production": [here]}),
        *(workload(name, "acme", {"production": [each]}) for name, each in models.items()),
        workload("guarded", "acme", {"production": [here]}, access=admins),
        workload(
            "sealed", "acme", {"production": [here]}, access={"claims": [{"claim": "role", "anyOf": []}]}
        ),
        workload("disabled", "acme", {"production": [here]}, enabled=False),
        workload("late", "acme", {"development": [revision("v2", backend(PARIS, development.address))]}),
        workload(
            "llama", "acme", {"production": [revision("v1", backend(PARIS, agent.address))]}, kind="Agent"
        ),
        workload(
            "resize",
            "acme",
            {"production": [revision("v1", backend(PARIS, function.address))]},
            kind="Function",
        ),
    ]


def _acme_failing(upstreams: Upstreams) -> list[Manifest]:
    forbidden, fallback = upstreams.serve("forbidden"), upstreams.serve("fallback")
    moody, silent, talkative = (upstreams.serve(each) for each in ("moody", "silent", "talkative"))
    bounded = revision("v1", backend(PARIS, upstreams.dead()), backend(VIRGINIA, forbidden.address))
    spilling = revision("v1", backend(PARIS, upstreams.dead()), backend(VIRGINIA, fallback.address))
    weightless = revision(
        "v1", backend(PARIS, upstreams.dead()), backend(VIRGINIA, forbidden.address, weight=0)
    )
    return [
        workload("resident", "acme", {"production": [bounded]}, policies=["europe"]),
        workload("resident-by-environment", "acme", {"sovereign": [bounded]}),
        workload("weightless", "acme", {"production": [weightless]}),
        workload("spilling", "acme", {"production": [spilling]}),
        workload("moody", "acme", {"production": [revision("v1", backend(PARIS, moody.address))]}),
        workload("silent", "acme", {"production": [revision("v1", backend(PARIS, silent.address))]}),
        # Only the time that the whole may take is to end what it says, however slow the test is to have it speak.
        manifest(
            "Model",
            "talkative",
            "acme",
            deployments=[
                {
                    "environment": "production",
                    "revisions": [revision("v1", backend(PARIS, talkative.address))],
                    "timeouts": {"idle": "20s"},
                }
            ],
        ),
    ]


def _lab(upstreams: Upstreams) -> list[Manifest]:
    production, development = upstreams.serve("lab-production"), upstreams.serve("lab-development")
    both = {
        "production": [revision("v1", backend(PARIS, production.address))],
        "development": [revision("v2", backend(PARIS, development.address))],
    }
    return [
        manifest("Workspace", "lab", issuers=["main"], defaultEnvironment="development"),
        workload("llama", "lab", both),
        workload("stable", "lab", {"production": [revision("v1", backend(PARIS, production.address))]}),
    ]
