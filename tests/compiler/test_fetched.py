"""What clients are sent that can fetch models with their first request, and those that do."""

from __future__ import annotations

from typing import Any

import pytest

from tests.compiler.test_compiler import (
    CLUSTER,
    ENDPOINTS,
    LISTENER,
    LLAMA,
    ROUTES,
    SCOPES,
    Fleet,
    everything,
    two_places,
)
from tests.graph import world as w
from xds_server.compiler import show
from xds_server.compiler.names import ACCESS, AUTHENTICATION, MEMBERSHIP, ON_DEMAND, REQUEST, ROUTER
from xds_server.snapshot import Audience, Catalogue, Dialect, Resource, View, diff, reserve

FETCHING = Dialect(incremental=True)
MISTRAL = "acme/models/mistral/production/v1"
RESERVE = reserve(CLUSTER)


def edge(name: str = "edge", port: int = 10000, **spec: Any) -> w.Manifest:
    made = w.gateway(name, port)
    made["spec"] |= spec
    return made


def world(*models: w.Manifest, **spec: Any) -> tuple[w.Manifest, ...]:
    return (edge(**{"delivery": "on-demand", **spec}), w.issuer(), w.workspace(), w.location("lab"), *models)


def see(catalogue: Catalogue, dialect: Dialect = FETCHING, gateway: str = "edge") -> View:
    view = catalogue.view(Audience(gateway, "eu-west-3", dialect))
    assert view is not None
    return view


def manager(view: View, name: str = "edge/run") -> dict[str, Any]:
    listener = view.get(LISTENER, name)
    assert listener is not None
    found: dict[str, Any] = show(listener)["filter_chains"][0]["filters"][-1]["typed_config"]
    return found


def shown(resource: Resource | None) -> Any:
    assert resource is not None
    return show(resource)


LLAMAS = (w.model("llama", two_places()), w.model("mistral", two_places(), warm=True))


def test_the_filter_that_fetches_stands_behind_who_decides_and_before_what_routes_configure() -> None:
    """Filters in front of it are not run again when the route is there."""
    names = [each["name"] for each in manager(see(Fleet().compile(*world(*LLAMAS))))["http_filters"]]
    known = [AUTHENTICATION, MEMBERSHIP, REQUEST, ON_DEMAND, ACCESS, ROUTER]
    assert [each for each in names if each in known] == known
    routes = [shown(each) for each in see(Fleet().compile(*world(*LLAMAS))).resources(ROUTES)]
    configured = {key for each in routes for key in each["virtual_hosts"][0]["typed_per_filter_config"]}
    assert configured
    assert all(names.index(each) > names.index(ON_DEMAND) for each in configured)


def test_the_wait_for_a_route_is_bounded_and_the_route_brings_the_limit_of_the_whole() -> None:
    timeouts = {"coldStart": "3s", "total": "70s", "idle": "40s"}
    view = see(Fleet().compile(*world(*LLAMAS, timeouts=timeouts)))
    assert manager(view)["common_http_protocol_options"] == {"max_stream_duration": "3s"}
    assert manager(view)["stream_idle_timeout"] == "40s"
    for resource in view.resources(ROUTES):
        for route in shown(resource)["virtual_hosts"][0]["routes"]:
            if "route" in route:
                assert route["route"]["max_stream_duration"] == {"max_stream_duration": "70s"}


def test_only_cold_scopes_are_on_demand_and_only_their_clusters_in_reserve() -> None:
    view = see(Fleet().compile(*world(*LLAMAS)))
    scopes = {each.name: shown(each).get("on_demand", False) for each in view.resources(SCOPES)}
    assert scopes == {"acme/models/llama": True, "acme/models/mistral": False}
    assert set(view.names(CLUSTER)) == {MISTRAL}
    assert set(view.names(RESERVE)) == {LLAMA}
    assert view.reserves(CLUSTER, LLAMA)
    assert not view.reserves(CLUSTER, MISTRAL)
    assert set(view.names(ENDPOINTS)) == {LLAMA, MISTRAL}


def test_a_cluster_of_dns_names_is_in_reserve_too() -> None:
    named = w.deployment(w.revision("v1", w.backend("lab", "models.example:80")))
    view = see(Fleet().compile(*world(w.model("llama", named), w.model("mistral", named, warm=True))))
    assert (set(view.names(CLUSTER)), set(view.names(RESERVE))) == ({MISTRAL}, {LLAMA})


def test_N6_clusters_and_endpoints_are_the_very_objects_that_others_are_sent() -> None:
    catalogue = Fleet().compile(*world(*LLAMAS))
    plain, own = see(catalogue, Dialect()), see(catalogue)
    for type_url, names in ((CLUSTER, (LLAMA, MISTRAL)), (ENDPOINTS, (LLAMA, MISTRAL))):
        for name in names:
            assert own.get(type_url, name) is plain.get(type_url, name)


@pytest.mark.parametrize(
    "dialect",
    [
        *(Dialect(), Dialect("sotw"), Dialect("delta"), Dialect("ads", (1, 36)), Dialect("ads", (1, 40))),
        *(Dialect("ads", release, incremental=True) for release in ((1, 36), (1, 39))),
    ],
)
def test_clients_that_cannot_fetch_are_served_eagerly(dialect: Dialect) -> None:
    on_demand, eager = Fleet().compile(*world(*LLAMAS)), Fleet().compile(*world(*LLAMAS, delivery="eager"))
    one, other = see(on_demand, dialect), see(eager, dialect)
    assert not diff(one, other)
    assert not one.has_reserve
    assert ON_DEMAND not in {each["name"] for each in manager(one)["http_filters"]}


@pytest.mark.parametrize("release", [None, (1, 40), (2, 0)])
def test_releases_since_1_40_can_fetch(release: tuple[int, int] | None) -> None:
    assert see(Fleet().compile(*world(*LLAMAS)), Dialect("ads", release, incremental=True)).has_reserve


def test_a_listener_is_the_same_whatever_the_delivery() -> None:
    """It would leave open connections with the filters from before."""
    views = [see(Fleet().compile(*world(*LLAMAS, delivery=each))) for each in ("on-demand", "eager", "auto")]
    for type_url, name in ((LISTENER, "edge/run"), (ROUTES, "acme/models/llama")):
        assert len({each.get(type_url, name) for each in views} - {None}) == 1
    assert [each.has_reserve for each in views] == [True, False, False]


def test_N7_a_change_of_one_model_touches_that_model_only() -> None:
    fleet = Fleet()
    one = see(fleet.compile(*world(*LLAMAS)))
    moved = (w.model("llama", two_places("10.0.0.9:80")), LLAMAS[1])
    two = see(fleet.compile(*world(*moved)))
    assert diff(one, two).changed == {ENDPOINTS: {LLAMA}}
    assert diff(one, two).removed == {}
    three = see(fleet.compile(*world(moved[0], LLAMAS[1], w.model("third", two_places()))))
    found = diff(two, three)
    third = "acme/models/third"
    assert found.changed == {
        SCOPES: {third},
        ROUTES: {third},
        RESERVE: {f"{third}/production/v1"},
        ENDPOINTS: {f"{third}/production/v1"},
    }
    again = see(fleet.compile(*world(moved[0], LLAMAS[1], w.model("third", two_places()))))
    known = {(each.type_url, each.name): each for each in everything(again)}
    assert all(known[each.type_url, each.name] is each for each in everything(three))


def test_a_model_that_becomes_warm_leaves_the_reserve() -> None:
    fleet = Fleet()
    one = see(fleet.compile(*world(*LLAMAS)))
    two = see(fleet.compile(*world(w.model("llama", two_places(), warm=True), LLAMAS[1])))
    found = diff(one, two)
    assert found.changed == {SCOPES: {"acme/models/llama"}, CLUSTER: {LLAMA}}
    assert found.removed == {RESERVE: {LLAMA}}
    back = diff(two, see(fleet.compile(*world(*LLAMAS))))
    assert back.changed == {SCOPES: {"acme/models/llama"}, RESERVE: {LLAMA}}


def test_gateways_of_one_limit_share_routes_and_others_have_their_own() -> None:
    gateways = [edge("inner", 10001), edge("quick", 10002, timeouts={"total": "5s"})]
    catalogue = Fleet().compile(*world(*LLAMAS, delivery="eager"), *gateways)
    routes = [
        see(catalogue, gateway=each).get(ROUTES, "acme/models/llama") for each in ("edge", "inner", "quick")
    ]
    assert routes[0] is routes[1]
    assert routes[0] != routes[2]


def test_a_gateway_that_is_gone_keeps_the_routes_that_go_with_its_listeners() -> None:
    fleet = Fleet()
    first = see(fleet.compile(*world(*LLAMAS), edge("inner", 10001, delivery="on-demand")), gateway="inner")
    catalogue = fleet.compile(*world(*LLAMAS))
    audience = Audience("inner", "eu-west-3", FETCHING)
    assert catalogue.view(audience) is None
    last = catalogue.view(audience, first)
    assert last is not None
    assert not diff(first, last)


def test_a_system_without_models_has_nothing_in_reserve() -> None:
    view = see(Fleet().compile(*world()))
    assert list(view.names(RESERVE)) == []
