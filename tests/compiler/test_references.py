"""What is compiled holds together: nothing refers to what is not there, and nothing is there twice.

Envoy takes a route to a missing cluster without a word, so this is the place where it is noticed. The rows are asked of
all cases of the goldens and all examples, for every gateway, region and dialect.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from tests.golden.files import CASES, list_cases
from tests.golden.folder import build, compile_graph, list_regions
from tests.graph import world as w
from tests.wire.both import parse, walk
from xds_server.compiler import show
from xds_server.protocol import types as t
from xds_server.snapshot import Audience, Dialect, Resource, View

_POLICIES = Path(__file__).parents[2] / "policies"
_DIALECTS = (Dialect(), Dialect("delta"), Dialect("sotw"), Dialect("ads", (1, 36)))


@cache
def list_views() -> list[tuple[str, View]]:
    """What every audience of every case sees, with the words that tell which."""
    folders = [CASES / case / "in" for case in list_cases()]
    folders += sorted(path for path in _POLICIES.iterdir() if path.is_dir())
    found = []
    for folder in folders:
        built = build(folder)
        if built.errors:
            continue
        catalogue = compile_graph(built.graph)
        for gateway in built.graph.edges:
            for region in list_regions(built.graph) or ["nowhere"]:
                for dialect in _DIALECTS:
                    view = catalogue.view(Audience(gateway, region, dialect))
                    assert view is not None
                    found.append((f"{folder.parent.name} {gateway} {region} {dialect}", view))
    return found


@cache
def shown(resource: Resource) -> dict[str, Any]:
    return show(resource)


def list_shown(view: View, type_url: str) -> Iterator[dict[str, Any]]:
    return (shown(each) for each in view.resources(type_url))


def list_managers(view: View) -> Iterator[dict[str, Any]]:
    """The connection managers of the listeners."""
    for listener in list_shown(view, t.LISTENER):
        if "api_listener" in listener:
            yield listener["api_listener"]["api_listener"]
        for chain in listener.get("filter_chains", ()):
            yield chain["filters"][-1]["typed_config"]


def dig(value: Any, key: str) -> Iterator[Any]:
    """What stands under a key, at any depth."""
    if isinstance(value, dict):
        if key in value:
            yield value[key]
        for each in value.values():
            yield from dig(each, key)
    elif isinstance(value, list):
        for each in value:
            yield from dig(each, key)


def test_there_is_something_to_ask() -> None:
    kinds: Counter[str] = Counter()
    for _, view in list_views():
        for kind in t.ORDER:
            kinds[kind] += view.count(kind)
    assert all(kinds[kind] > 10 for kind in t.ORDER)


def test_I9_every_route_leads_to_a_cluster_that_is_there_and_says_so() -> None:
    for where, view in list_views():
        clusters = set(view.names(t.CLUSTER))
        for resource in view.resources(t.ROUTE):
            led: set[str] = set()
            for action in dig(shown(resource), "route"):
                if "cluster" in action:
                    led.add(action["cluster"])
                led |= {each["name"] for each in action.get("weighted_clusters", {}).get("clusters", ())}
                led |= {each["cluster"] for each in action.get("request_mirror_policies", ())}
            assert led <= clusters, (where, resource.name)
            assert set(resource.needs) == led, (where, resource.name)


def test_I9_an_aggregate_holds_clusters_that_are_there() -> None:
    for where, view in list_views():
        clusters = set(view.names(t.CLUSTER))
        for cluster in list_shown(view, t.CLUSTER):
            config = cluster.get("cluster_type", {}).get("typed_config", {})
            assert set(config.get("clusters", ())) <= clusters, (where, cluster["name"])


def test_I8_no_listener_has_routes_inside() -> None:
    # Their clusters would have to be there first. Routes come by themselves, and wait for their clusters.
    for where, view in list_views():
        for manager in list_managers(view):
            assert "route_config" not in manager, where
            assert "scoped_route_configurations_list" not in manager.get("scoped_routes", {}), where


def test_M11_every_scope_names_a_route_configuration_that_is_there_and_keys_are_unique() -> None:
    for where, view in list_views():
        routes = set(view.names(t.ROUTE))
        keys = []
        for scope in list_shown(view, t.SCOPE):
            assert scope["route_configuration_name"] in routes, where
            keys.append(tuple(each["string_key"] for each in scope["key"]["fragments"]))
        assert len(keys) == len(set(keys)), where
        for manager in list_managers(view):
            if "rds" in manager:
                assert manager["rds"]["route_config_name"] in routes, where
            else:
                fragments = manager["scoped_routes"]["scope_key_builder"]["fragments"]
                assert {len(fragments)} >= {len(key) for key in keys}, where


def test_I9_M12_every_filter_that_is_fetched_is_there() -> None:
    for where, view in list_views():
        for manager in list_managers(view):
            for each in manager["http_filters"]:
                if "config_discovery" not in each:
                    continue
                config = view.get(t.EXTENSION, each["name"])
                assert config is not None, (where, each["name"])
                [kind] = each["config_discovery"]["type_urls"]
                assert shown(config)["typed_config"]["@type"] == kind, where


def test_J6_every_secret_that_a_cluster_or_listener_names_is_there() -> None:
    named = 0
    for where, view in list_views():
        secrets = set(view.names(t.SECRET))
        for kind in (t.CLUSTER, t.LISTENER):
            for each in list_shown(view, kind):
                for key in ("validation_context_sds_secret_config", "tls_certificate_sds_secret_configs"):
                    for config in dig(each, key):
                        for one in config if isinstance(config, list) else [config]:
                            named += 1
                            assert one["name"] in secrets, (where, each["name"])
    assert named > 10


def test_M15_J1_endpoints_go_by_the_name_of_their_cluster_and_each_eds_cluster_has_them() -> None:
    for where, view in list_views():
        eds = {each["name"] for each in list_shown(view, t.CLUSTER) if each.get("type") == "EDS"}
        assert {
            each.get("eds_cluster_config", {}).get("service_name", each["name"])
            for each in list_shown(view, t.CLUSTER)
            if each.get("type") == "EDS"
        } == eds, where
        assert set(view.names(t.ENDPOINT)) == eds, where  # an empty assignment too
        for each in view.resources(t.ENDPOINT):
            assert shown(each)["cluster_name"] == each.name, where


def test_M17_what_routes_configure_is_a_filter_of_every_listener_and_stands_before_the_router() -> None:
    configured = 0
    for where, view in list_views():
        chains = [[each["name"] for each in manager["http_filters"]] for manager in list_managers(view)]
        behind = [
            [each["name"] for each in manager["http_filters"][-1]["typed_config"]["upstream_http_filters"]]
            for manager in list_managers(view)
            if "scoped_routes" in manager
        ]
        for routes in list_shown(view, t.ROUTE):
            for per_filter in dig(routes, "typed_per_filter_config"):
                for name in per_filter:
                    configured += 1
                    if name == "fairlead.backend":
                        assert all(name in chain[:-1] for chain in behind), (where, name)
                    else:
                        assert all(name in chain[:-1] for chain in chains), (where, name)
        for chain in chains:
            assert len(chain) == len(set(chain)), where
            assert chain[-1] == "envoy.filters.http.router", where
    assert configured > 10


def test_M17_what_protects_stands_in_its_order() -> None:
    for where, view in list_views():
        for manager in list_managers(view):
            chain = [each["name"] for each in manager["http_filters"]]
            ours = ["credentials", "authentication", "membership", "request", "access"]
            guards = [name for name in (f"fairlead.{each}" for each in ours) if name in chain]
            if "scoped_routes" in manager:
                assert guards == [f"fairlead.{each}" for each in ours], where
            assert [chain.index(name) for name in guards] == sorted(chain.index(name) for name in guards)


def test_I9_every_tls_choice_of_an_endpoint_is_one_of_its_clusters() -> None:
    chosen = 0
    for where, view in list_views():
        for cluster in list_shown(view, t.CLUSTER):
            choices = [each["match"] for each in cluster.get("transport_socket_matches", ())]
            places = view.get(t.ENDPOINT, cluster["name"])
            assigned = shown(places) if places is not None else cluster.get("load_assignment", {})
            matches = list(dig(assigned, "envoy.transport_socket_match"))
            chosen += len(matches)
            assert all(each in choices for each in matches), (where, cluster["name"])
            assert all(any(each == one for one in matches) for each in choices), (where, cluster["name"])
    assert chosen > 1


def test_F7_G4_no_name_is_in_two_layers_of_a_view() -> None:
    for where, view in list_views():
        for kind in view.types():
            names = list(view.names(kind))
            assert len(names) == len(set(names)), (where, kind)


def test_G5_G6_the_name_is_that_of_the_body_and_the_version_is_bound_to_the_bytes() -> None:
    for where, view in list_views():
        for kind in view.types():
            for resource in view.resources(kind):
                body = shown(resource)
                inner = body["cluster_name"] if kind == t.ENDPOINT else body["name"]
                assert inner == resource.name, (where, kind)
                assert resource == Resource.of(kind, resource.name, resource.body), (where, resource.name)


def test_A5_A6_all_is_of_the_v3_api_and_what_its_layer_says() -> None:
    kinds: set[str] = set()
    for where, view in list_views():
        for type_url in view.types():
            assert type_url in t.ORDER, (where, type_url)
            for resource in view.resources(type_url):
                assert resource.type_url == type_url, (where, resource.name)
        for type_url in (t.LISTENER, t.CLUSTER):
            for resource in view.resources(type_url):
                kinds |= list_types(resource)
    assert all(".v2" not in kind and "envoy.api." not in kind for kind in kinds)
    assert len(kinds) > 20


@cache
def list_types(resource: Resource) -> frozenset[str]:
    """The messages in a resource, packed ones too."""
    message = parse(resource.type_url.rpartition("/")[2], resource.body)
    return frozenset(each.DESCRIPTOR.full_name for each in walk(message))


def test_O1_listeners_of_a_gateway_have_ports_of_their_own() -> None:
    for where, view in list_views():
        places = [
            (each["address"]["socket_address"]["address"], each["address"]["socket_address"]["port_value"])
            for each in list_shown(view, t.LISTENER)
            if "address" in each
        ]
        assert len(places) == len(set(places)), where


def test_O1_weights_of_a_split_and_of_a_place_can_be_counted() -> None:
    for where, view in list_views():
        for routes in list_shown(view, t.ROUTE):
            for split in dig(routes, "weighted_clusters"):
                weights = [each["weight"] for each in split["clusters"]]
                assert 0 < sum(weights) < 2**32, where
                assert all(weights), where
        for places in list_shown(view, t.ENDPOINT):
            priorities = [each.get("priority", 0) for each in places.get("endpoints", ())]
            assert set(priorities) == set(range(len(set(priorities)))), where  # gRPC and Envoy want no gap
            for locality in places.get("endpoints", ()):
                assert (
                    0 < sum(each.get("load_balancing_weight", 1) for each in locality["lb_endpoints"]) < 2**32
                )


def test_A16_what_only_envoy_knows_is_passed_on_unjudged() -> None:
    # Nothing that is compiled is checked against rules of one Envoy release: the policy language is the only judge,
    # and what it does not know of Envoy it hands over as it is.
    strange = {"envoy.reloadable_features.of_a_release_to_come": True, "some.key": "a text", "a.number": -1.5}
    gateway = w.gateway()
    gateway["spec"]["runtime"] = strange
    graph = w.build_graph(gateway, w.issuer(), w.workspace(), w.model("a" * 63), w.model("a.b_c-d"))
    view = compile_graph(graph).view(Audience("edge", "eu-west-3"))
    assert view is not None
    [runtime] = list_shown(view, t.RUNTIME)
    assert runtime["layer"] == strange
    assert view.count(t.SCOPE) == 2
