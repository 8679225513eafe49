"""Clients of other dialects are sent the same, but for what their way to fetch and their release change."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import pytest

from tests.compiler.test_compiler import (
    BASE,
    CLUSTER,
    ENDPOINTS,
    FILTER,
    LISTENER,
    LLAMA,
    ROUTES,
    Fleet,
    everything,
    two_places,
)
from tests.golden.files import CASES, list_cases
from tests.golden.folder import build, compile_graph, list_regions
from tests.graph import world as w
from tests.wire.both import parse, walk
from xds_server.bootstrap import CONTROL_PLANE, compile_bootstrap
from xds_server.compiler import show, variation
from xds_server.snapshot import Audience, Catalogue, Dialect, Resource, Transport, View, diff

TRANSPORTS: tuple[Transport, ...] = ("ads", "delta", "sotw")
GOOD = [each for each in list_cases() if not build(CASES / each / "in").errors]
_SOURCE = "envoy.config.core.v3.ConfigSource"


def see(catalogue: Catalogue, transport: Transport = "ads", gateway: str = "edge") -> View:
    view = catalogue.view(Audience(gateway, "eu-west-3", Dialect(transport)))
    assert view is not None
    return view


@cache
def list_sources(resource: Resource) -> list[Any]:
    message = parse(resource.type_url.rpartition("/")[2], resource.body)
    return [each for each in walk(message) if each.DESCRIPTOR.full_name == _SOURCE]


@cache
def list_cases_views() -> list[tuple[str, Catalogue, str, str]]:
    return [
        (case, catalogue, gateway, region)
        for case in GOOD
        for graph in [build(CASES / case / "in").graph]
        for catalogue in [compile_graph(graph)]
        for gateway, edge in graph.edges.items()
        if edge.gateway.spec.proxyless is None  # gRPC knows ADS only
        for region in list_regions(graph)[:1]
    ]


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_what_refers_to_another_resource_says_where_this_client_fetches_it(transport: Transport) -> None:
    seen = set()
    for case, catalogue, gateway, region in list_cases_views():
        view = catalogue.view(Audience(gateway, region, Dialect(transport)))
        assert view is not None
        for resource in everything(view):
            for source in list_sources(resource):
                seen.add(resource.type_url)
                assert source.resource_api_version == 2, (case, resource.name)  # V3
                if transport == "ads":
                    assert source.WhichOneof("config_source_specifier") == "ads"
                    continue
                api = source.api_config_source
                assert api.api_type == {"sotw": 2, "delta": 3}[transport], (case, resource.name)
                assert api.transport_api_version == 2
                assert api.set_node_on_first_message_only
                [service] = api.grpc_services
                assert service.envoy_grpc.cluster_name == CONTROL_PLANE
    assert seen == {CLUSTER, LISTENER}


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_J8_every_source_waits_as_long_as_envoy_does_and_none_for_ever(transport: Transport) -> None:
    found = 0
    for case, catalogue, gateway, region in list_cases_views():
        view = catalogue.view(Audience(gateway, region, Dialect(transport)))
        assert view is not None
        for resource in everything(view):
            for source in list_sources(resource):
                found += 1
                assert not source.HasField("initial_fetch_timeout"), (case, resource.name)
    assert found > 10


@pytest.mark.parametrize("transport", ["delta", "sotw"])
def test_N6_what_holds_no_source_is_the_same_object_in_every_dialect(transport: Transport) -> None:
    for case, catalogue, gateway, region in list_cases_views():
        plain = catalogue.view(Audience(gateway, region))
        own = catalogue.view(Audience(gateway, region, Dialect(transport)))
        assert plain is not None
        assert own is not None
        assert {(each.type_url, each.name) for each in everything(own)} == {
            (each.type_url, each.name) for each in everything(plain)
        }, case
        for resource in everything(own):
            theirs = plain.get(resource.type_url, resource.name)
            assert (resource is theirs) is not bool(list_sources(resource)), (case, resource.name)


def test_N7_a_change_compiles_one_model_for_each_dialect_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[str] = []
    plainly = variation.compile_cluster

    def note(endpoint: Any, *rest: Any) -> Resource:
        compiled.append(endpoint.path)
        return plainly(endpoint, *rest)

    monkeypatch.setattr(variation, "compile_cluster", note)
    fleet = Fleet()
    one = fleet.compile(*BASE, w.model("llama", two_places()), w.model("mistral", two_places()))
    see(one)
    assert compiled == []  # nobody speaks another dialect yet
    first = see(one, "delta")
    assert compiled == []  # nor does who speaks it want any
    first.encode(CLUSTER)
    assert sorted(compiled) == ["acme/models/llama", "acme/models/mistral"]
    compiled.clear()
    two = fleet.compile(
        *BASE, w.model("llama", two_places("10.0.0.9:80"), access={}), w.model("mistral", two_places())
    )
    second = see(two, "delta")
    assert diff(first, second).changed == {ENDPOINTS: {LLAMA}}
    assert second.get(CLUSTER, "acme/models/mistral/production/v1") is first.get(
        CLUSTER, "acme/models/mistral/production/v1"
    )
    assert set(compiled) == {"acme/models/llama"}
    assert second.get(LISTENER, "edge/run") is first.get(LISTENER, "edge/run")
    assert second.get(ROUTES, "acme/models/llama") is see(two).get(ROUTES, "acme/models/llama")


def test_a_gateway_or_model_that_goes_is_gone_in_every_dialect() -> None:
    fleet = Fleet()
    more = (w.gateway("inner", 10001), w.model("llama", two_places()), w.model("mistral"))
    first = see(fleet.compile(*BASE, *more), "sotw")
    last = fleet.compile(*BASE, w.model("mistral"))
    second = see(last, "sotw")
    assert diff(first, second).removed[CLUSTER] == {LLAMA}
    assert last.view(Audience("inner", "eu-west-3", Dialect("sotw"))) is None


def test_an_older_catalogue_asked_late_in_another_dialect_says_what_it_always_said() -> None:
    fleet = Fleet()
    old = fleet.compile(*BASE, w.model("llama", two_places()))
    new = fleet.compile(*BASE, w.model("mistral", two_places()))
    assert [*see(new, "delta").names(CLUSTER)] == ["acme/models/mistral/production/v1"]
    assert [*see(old, "delta").names(CLUSTER)] == [LLAMA]
    assert [*see(new, "delta").names(CLUSTER)] == ["acme/models/mistral/production/v1"]


@pytest.mark.parametrize(("variant", "api_type"), [("delta", "DELTA_GRPC"), ("sotw", "GRPC")])
def test_J8_a_bootstrap_asks_for_each_type_on_its_own_stream_if_told_so(variant: Any, api_type: str) -> None:
    member = {"node": "n", "gateway": "edge", "region": "r", "xds": ("cp", 18000), "admin": ("127.0.0.1", 0)}
    ads = compile_bootstrap(**member, variant=variant)["dynamic_resources"]  # type: ignore[arg-type]
    assert ads["lds_config"] == ads["cds_config"] == {"ads": {}, "resource_api_version": "V3"}
    own = compile_bootstrap(**member, variant=variant, streams="per-type")["dynamic_resources"]  # type: ignore[arg-type]
    assert "ads_config" not in own
    assert own["lds_config"] == own["cds_config"]
    assert own["lds_config"]["api_config_source"] == ads["ads_config"]
    assert ads["ads_config"]["api_type"] == api_type
    assert "initial_fetch_timeout" not in json.dumps([ads, own])


class TestReleases:
    """What an Envoy's release can't take is not sent to it."""

    @staticmethod
    def see(catalogue: Catalogue, release: tuple[int, int] | None, transport: Transport = "ads") -> View:
        view = catalogue.view(Audience("edge", "eu-west-3", Dialect(transport, release)))
        assert view is not None
        return view

    def test_B8_releases_that_take_the_same_are_sent_the_same(self) -> None:
        catalogue = Fleet().compile(*BASE, w.model("llama", two_places()))
        newest = self.see(catalogue, None)
        for release in ((1, 37), (1, 38), (1, 40), (1, 99), (2, 0)):
            assert self.see(catalogue, release).layers == newest.layers
            assert all(
                mine is theirs
                for mine, theirs in zip(self.see(catalogue, release).layers, newest.layers, strict=True)
            )

    def test_B8_without_string_functions_the_workspace_is_noted_by_a_filter(self) -> None:
        fleet = Fleet()
        catalogue = fleet.compile(*BASE, w.model("llama", two_places()))
        old, newest = self.see(catalogue, (1, 36)), self.see(catalogue, None)
        assert diff(newest, old).changed == {LISTENER: {"edge/run"}, FILTER: {"fairlead.membership"}}
        assert not diff(newest, old).removed
        told = [json.dumps(show(each)) for kind in (LISTENER, FILTER) for each in old.resources(kind)]
        assert not any("cel_config" in each or '"split"' in each for each in told)
        names = [each["name"] for each in self.filters(old)]
        assert names.index("fairlead.path_note") < names.index("fairlead.workspace_note")
        assert names.index("fairlead.workspace_note") < names.index("fairlead.membership")
        assert "fairlead.workspace_note" not in [each["name"] for each in self.filters(newest)]

    def test_B8_a_release_and_a_transport_go_together(self) -> None:
        catalogue = Fleet().compile(*BASE, w.model("llama", two_places()))
        mixed = self.see(catalogue, (1, 36), "delta")
        assert diff(self.see(catalogue, (1, 36)), mixed).changed == {
            LISTENER: {"edge/run"},
            CLUSTER: {LLAMA},
        }
        assert self.see(catalogue, (1, 36), "delta") is mixed

    def test_B8_a_new_issuer_reaches_an_old_release_and_another_change_leaves_it_alone(self) -> None:
        fleet = Fleet()
        one = self.see(fleet.compile(*BASE, w.model("llama", two_places())), (1, 36))
        two = self.see(fleet.compile(*BASE, w.model("llama", two_places("10.0.0.9:80"))), (1, 36))
        assert diff(one, two).changed == {ENDPOINTS: {LLAMA}}
        other = w.issuer("other", issuer="https://other.example")
        three = self.see(fleet.compile(*BASE, other, w.model("llama", two_places())), (1, 36))
        assert diff(two, three).changed[FILTER] == {"fairlead.authentication", "fairlead.membership"}
        assert "other" in json.dumps([show(each) for each in three.resources(FILTER)])

    @staticmethod
    def filters(view: View) -> list[dict[str, Any]]:
        [listener] = view.resources(LISTENER)
        manager = show(listener)["filter_chains"][0]["filters"][-1]["typed_config"]
        filters: list[dict[str, Any]] = manager["http_filters"]
        return filters
