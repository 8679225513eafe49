"""What a gateway says of its nodes and of clients without Envoy, as the catalogue has it."""

from __future__ import annotations

from tests.compiler.test_compiler import BASE, Fleet, everything
from tests.graph import world as w
from xds_server.protocol import types as t
from xds_server.snapshot import Audience, Catalogue, Dialect, Identity, View


def see(catalogue: Catalogue, gateway: str, region: str = "lab", before: View | None = None) -> View:
    view = catalogue.view(Audience(gateway, region), before)
    assert view is not None
    return view


def services(*workspaces: str) -> w.Manifest:
    return w.manifest("Gateway", "services", {"proxyless": {"workspaces": list(workspaces)}})


def with_rules(name: str, **more: object) -> w.Manifest:
    return w.manifest("Gateway", name, {"listeners": [{"name": "run", "port": 10001}], **more})


def test_B7_the_gateways_rules_say_whose_node_it_is() -> None:
    canary = with_rules("canary", nodes={"clusters": ["edge"], "ids": ["edge-9*"]})
    catalogue = Fleet().compile(*BASE, canary, w.model())
    assert catalogue.gateway_of(Identity("edge-1", "edge")) == "edge"
    assert catalogue.gateway_of(Identity("edge-91", "edge")) == "canary"
    assert catalogue.gateway_of(Identity("edge-91", "canary")) == ""


def test_B10_the_gateways_say_which_certificates_their_nodes_must_have() -> None:
    strict = with_rules("strict", identities=["spiffe://example.com/strict"])
    catalogue = Fleet().compile(*BASE, strict, w.model())
    assert catalogue.identities == {"strict": frozenset({"spiffe://example.com/strict"})}


def test_a_client_without_envoy_sees_its_workspaces_endpoints_and_nothing_else_of_the_fleet() -> None:
    catalogue = Fleet().compile(
        *BASE,
        w.workspace("beta"),
        services("acme"),
        w.model("llama"),
        w.model("strict", access={"claims": [{"claim": "role", "anyOf": ["admin"]}]}),
        w.model("idle", enabled=False),
        w.model("secret", within="beta"),
    )
    view = see(catalogue, "services")
    assert set(view.names(t.LISTENER)) == {"acme/models/llama", "acme/models/llama/production"}
    assert view.types() <= {t.LISTENER, t.ROUTE, t.CLUSTER, t.ENDPOINT}
    assert all(each.name.startswith("acme/models/llama") for each in everything(view))
    assert not any("acme/models/llama" in name for name in see(catalogue, "edge").names(t.LISTENER))


def test_a_client_without_envoy_loses_all_when_its_gateway_goes() -> None:
    fleet = Fleet()
    before = see(fleet.compile(*BASE, services("acme"), w.model()), "services")
    assert before.count(t.LISTENER) == 2
    catalogue = fleet.compile(*BASE, w.model())
    after = see(catalogue, "services", before=before)
    assert after.types() == frozenset()
    again = see(fleet.compile(*BASE, w.model()), "services", before=after)
    assert again.types() == frozenset()


def test_a_client_without_envoy_is_sent_the_same_in_every_dialect() -> None:
    catalogue = Fleet().compile(*BASE, services("acme"), w.model())
    plain = see(catalogue, "services")
    for dialect in (Dialect("sotw"), Dialect("delta", (1, 36))):
        other = catalogue.view(Audience("services", "lab", dialect))
        assert other is not None
        assert all(one is two for one, two in zip(plain.layers[:2], other.layers[:2], strict=True))
        assert {each.version for each in everything(other)} == {each.version for each in everything(plain)}


def test_residency_holds_for_clients_without_envoy() -> None:
    eu = w.places("eu", ("continent", "eu"))
    model = w.model(
        "llama",
        w.deployment(
            w.revision("v1", w.backend("lab", "10.0.0.1:80"), w.backend("us-east-1", "10.1.0.1:80")),
            policies=("eu",),
        ),
    )
    catalogue = Fleet().compile(*BASE, eu, services("acme"), model)
    for region in ("lab", "us-east-1", ""):
        [places] = see(catalogue, "services", region).resources(t.ENDPOINT)
        assert b"10.0.0.1" in places.body
        assert b"10.1.0.1" not in places.body
