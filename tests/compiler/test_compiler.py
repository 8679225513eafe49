"""What is compiled once stays the same object, and every region sees the world from where it is."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Event, Thread
from typing import Any

import pytest

from tests.golden.folder import ROOTS
from tests.graph import world as w
from xds_server.compiler import Compiler, rendition, show
from xds_server.graph import Graph
from xds_server.snapshot import Audience, Catalogue, Resource, View, diff

PREFIX = "type.googleapis.com/"
CLUSTER = f"{PREFIX}envoy.config.cluster.v3.Cluster"
ENDPOINTS = f"{PREFIX}envoy.config.endpoint.v3.ClusterLoadAssignment"
ROUTES = f"{PREFIX}envoy.config.route.v3.RouteConfiguration"
SCOPES = f"{PREFIX}envoy.config.route.v3.ScopedRouteConfiguration"
LISTENER = f"{PREFIX}envoy.config.listener.v3.Listener"
SECRET = f"{PREFIX}envoy.extensions.transport_sockets.tls.v3.Secret"
FILTER = f"{PREFIX}envoy.config.core.v3.TypedExtensionConfig"

LLAMA = "acme/models/llama/production/v1"


class Fleet:
    """One control plane's memory, from text to catalogue."""

    def __init__(self) -> None:
        self._world = w.World()
        self._compiler = Compiler(ROOTS)

    def compile(self, *manifests: w.Manifest, **files: bytes) -> Catalogue:
        built = self._world.build(
            {f"{each['kind']}-{each['metadata']['name']}.yaml": w.write(each) for each in manifests}, files
        )
        assert not built.errors, "\n".join(map(str, built.errors))
        return self._compiler.compile(built.graph)


def see(catalogue: Catalogue, region: str = "eu-west-3") -> View:
    view = catalogue.view(Audience("edge", region))
    assert view is not None
    return view


def everything(view: View) -> Iterator[Resource]:
    for type_url in view.types():
        yield from view.resources(type_url)


def two_places(address: str = "10.0.0.1:80") -> w.Manifest:
    return w.deployment(w.revision("v1", w.backend("lab", address), w.backend("us-east-1", "10.1.0.1:80")))


BASE = (*w.FLEET, w.workspace(), w.location("lab"))


class TestReuse:
    def test_nothing_changed_nothing_is_made_again(self) -> None:
        fleet = Fleet()
        manifests = (*BASE, w.model("llama", two_places()))
        one, two = see(fleet.compile(*manifests)), see(fleet.compile(*manifests))
        again = {(each.type_url, each.name): each for each in everything(two)}
        assert all(again[each.type_url, each.name] is each for each in everything(one))
        assert not diff(one, two)

    def test_a_change_of_one_model_touches_that_model_only(self) -> None:
        fleet = Fleet()
        one = see(fleet.compile(*BASE, w.model("llama", two_places()), w.model("mistral")))
        two = see(fleet.compile(*BASE, w.model("llama", two_places("10.0.0.9:80")), w.model("mistral")))
        found = diff(one, two)
        assert found.changed == {ENDPOINTS: {LLAMA}}
        assert found.removed == {}
        for type_url, name in ((ROUTES, "acme/models/mistral"), (LISTENER, "edge/run")):
            assert two.get(type_url, name) is one.get(type_url, name)

    def test_a_new_model_is_four_resources(self) -> None:
        fleet = Fleet()
        one = see(fleet.compile(*BASE, w.model("mistral")))
        model = w.model("llama", two_places())
        found = diff(one, see(fleet.compile(*BASE, w.model("mistral"), model)))
        assert found.changed == {
            SCOPES: {"acme/models/llama"},
            ROUTES: {"acme/models/llama"},
            CLUSTER: {LLAMA},
            ENDPOINTS: {LLAMA},
        }

    def test_a_model_that_goes_takes_all_its_resources_along(self) -> None:
        fleet = Fleet()
        one = see(fleet.compile(*BASE, w.model("mistral"), w.model("llama", two_places())))
        found = diff(one, see(fleet.compile(*BASE, w.model("mistral"))))
        assert found.changed == {}
        assert found.removed.keys() == {SCOPES, ROUTES, CLUSTER, ENDPOINTS}

    def test_a_new_workspace_does_not_touch_the_listener(self) -> None:
        fleet = Fleet()
        one = see(fleet.compile(*BASE, w.model("llama", two_places())))
        more = (w.workspace("globex"), w.model("other", within="globex"))
        found = diff(one, see(fleet.compile(*BASE, w.model("llama", two_places()), *more)))
        assert not found.names(LISTENER)
        assert not any("acme" in name for names in found.changed.values() for name in names)

    def test_a_new_issuer_comes_over_filters_and_leaves_the_listener(self) -> None:
        fleet = Fleet()
        one = see(fleet.compile(*BASE, w.model("llama", two_places())))
        other = w.issuer("other", issuer="https://other.example")
        found = diff(one, see(fleet.compile(*BASE, other, w.model("llama", two_places()))))
        assert found.changed == {FILTER: {"fairlead.authentication", "fairlead.membership"}}

    def test_a_backend_with_a_name_moves_between_the_layers_and_back(self) -> None:
        fleet = Fleet()
        by_ip = (*BASE, w.model("llama", two_places()))
        by_name = (*BASE, w.model("llama", two_places("models.example:80")))
        one, two, three = (see(fleet.compile(*each)) for each in (by_ip, by_name, by_ip))
        assert diff(one, two).changed == {CLUSTER: {LLAMA}}
        assert diff(one, two).removed == {ENDPOINTS: {LLAMA}}
        assert diff(two, three).changed == {CLUSTER: {LLAMA}, ENDPOINTS: {LLAMA}}
        assert not diff(one, three)

    def test_a_ca_is_a_secret_of_its_own(self) -> None:
        fleet = Fleet()
        backend = w.backend("lab", "https://a.example", tls={"ca": "ca.pem"})
        manifests = (*BASE, w.model("llama", w.deployment(w.revision("v1", backend))))
        one = see(fleet.compile(*manifests, **{"ca.pem": ROOTS.encode()}))
        two = see(fleet.compile(*manifests, **{"ca.pem": ROOTS.encode() + b"# rotated\n"}))
        assert diff(one, two).changed == {SECRET: {"acme/models/llama/ca/ca.pem"}}


class TestRegions:
    def order(self, view: View) -> list[str]:
        resource = view.get(ENDPOINTS, LLAMA)
        assert resource is not None
        tiers = sorted(show(resource)["endpoints"], key=lambda each: each.get("priority", 0))
        return [each["locality"]["region"] for each in tiers]

    def test_each_sees_the_nearest_first(self) -> None:
        catalogue = Fleet().compile(*BASE, w.model("llama", two_places()))
        assert self.order(see(catalogue, "eu-west-3")) == ["lab", "us-east-1"]
        assert self.order(see(catalogue, "us-west-2")) == ["us-east-1", "lab"]
        assert self.order(see(catalogue, "nobody-knows")) == ["lab", "us-east-1"]

    def test_only_endpoints_differ_between_regions(self) -> None:
        catalogue = Fleet().compile(*BASE, w.model("llama", two_places()))
        found = diff(see(catalogue, "eu-west-3"), see(catalogue, "us-west-2"))
        assert found.changed == {ENDPOINTS: {LLAMA}}

    def test_H11_places_that_nobody_knows_are_compiled_once_whatever_clients_call_them(self) -> None:
        fleet = Fleet()
        models = [w.model(name, two_places()) for name in ("llama", "mistral")]
        for manifests in (models[:1], models):
            catalogue = fleet.compile(*BASE, *manifests)
            first, *others = (catalogue.region(f"nowhere-{number}") for number in range(5))
            assert all(each is first for each in others)
            assert len(first[ENDPOINTS]) == len(manifests)

    def test_a_region_whose_location_moves_is_ordered_anew(self) -> None:
        fleet = Fleet()
        model = w.model(
            "llama",
            w.deployment(
                w.revision("v1", w.backend("eu-west-3", "10.0.0.1:80"), w.backend("us-east-1", "10.1.0.1:80"))
            ),
        )
        one = see(fleet.compile(*BASE, model), "lab")
        moved = w.location("lab", country="us", continent="na", latitude=39.0, longitude=-77.0)
        two = see(fleet.compile(*w.FLEET, w.workspace(), moved, model), "lab")
        assert self.order(one) == ["eu-west-3", "us-east-1"]
        assert self.order(two) == ["us-east-1", "eu-west-3"]
        assert diff(one, two).changed == {ENDPOINTS: {LLAMA}}

    def test_an_older_catalogue_that_is_asked_late_says_what_it_always_said(self) -> None:
        fleet = Fleet()
        old = fleet.compile(*BASE, w.model("llama", two_places()))
        new = fleet.compile(
            *BASE, w.model("llama", w.deployment(w.revision("v1", w.backend("lab", "10.9.0.1:80"))))
        )
        assert self.order(see(new)) == ["lab"]
        assert self.order(see(old)) == ["lab", "us-east-1"]
        assert self.order(see(new)) == ["lab"]
        newer = fleet.compile(*BASE, w.model("llama", two_places()))
        assert self.order(see(newer)) == ["lab", "us-east-1"]

    def test_two_catalogues_may_be_asked_for_one_at_the_same_time(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As when a node leaves while its region is compiled: that goes on, though nobody waits for it."""
        fleet = Fleet()
        older = fleet.compile(*w.FLEET, w.workspace(), w.model("llama"))
        newer = fleet.compile(*w.FLEET, w.workspace(), w.model("llama"), w.model("mistral"))
        done, plain = Event(), rendition._regional

        def see_newer() -> None:
            see(newer)
            done.set()

        def compile_meanwhile(*args: Any) -> Any:
            monkeypatch.setattr(rendition, "_regional", plain)
            threads[0].start()
            done.wait(0.2)  # it must not be done before this is
            return plain(*args)

        threads = [Thread(target=see_newer)]
        monkeypatch.setattr(rendition, "_regional", compile_meanwhile)
        assert len(list(see(older).names(CLUSTER))) == 1
        threads[0].join()
        assert len(list(see(newer).names(CLUSTER))) == 2
        last = fleet.compile(*w.FLEET, w.workspace(), w.model("llama"))
        assert list(see(last).names(CLUSTER)) == [LLAMA]


class TestGateways:
    def test_each_sees_its_own_listeners_and_certificates_and_all_models(self) -> None:
        manifests = (*w.FLEET, w.gateway("inner", 10001), w.workspace(), w.model())
        catalogue = Fleet().compile(*manifests)
        edge, inner = (catalogue.view(Audience(name, "eu-west-3")) for name in ("edge", "inner"))
        assert edge is not None
        assert inner is not None
        assert [*edge.names(LISTENER)] == ["edge/run"]
        assert [*inner.names(LISTENER)] == ["inner/run"]
        assert [*edge.names(ROUTES)] == [*inner.names(ROUTES)] == ["acme/models/llama"]

    def test_one_that_is_not_declared_sees_nothing(self) -> None:
        catalogue = Fleet().compile(*w.FLEET, w.workspace(), w.model())
        assert catalogue.view(Audience("other", "eu-west-3")) is None


def test_routes_need_the_clusters_of_their_splits_and_say_so() -> None:
    split = w.deployment(
        *(
            w.revision(name, w.backend("lab"), weight=weight)
            for name, weight in (("a", 1), ("b", 1), ("off", 0))
        )
    )
    routes = see(Fleet().compile(*BASE, w.model("llama", split))).get(ROUTES, "acme/models/llama")
    assert routes is not None
    assert routes.needs == ("acme/models/llama/production/a", "acme/models/llama/production/b")


def test_resources_tell_the_manifest_they_come_from() -> None:
    view = see(Fleet().compile(*BASE, w.model("llama", two_places())))
    for type_url in (SCOPES, ROUTES, CLUSTER, ENDPOINTS):
        assert {each.origin for each in view.resources(type_url)} == {"Model-llama.yaml:1"}
    assert {each.origin for each in view.resources(LISTENER)} == {"Gateway-edge.yaml:1"}


def test_an_empty_graph_is_compiled_too() -> None:
    catalogue = Compiler(ROOTS).compile(Graph())
    assert catalogue.view(Audience("edge", "eu-west-3")) is None
