"""Deployments that scale from zero: what is parked for whom, and what routes say."""

from __future__ import annotations

import itertools
from typing import Any

from tests.compiler.test_compiler import CLUSTER, ENDPOINTS, LISTENER, LLAMA, ROUTES, two_places
from tests.compiler.test_fetched import FETCHING, manager, see, shown
from tests.golden.folder import ROOTS
from tests.graph import world as w
from xds_server.compiler import Compiler
from xds_server.compiler.names import ACCESS, INTERNAL_HEADERS, RESIDENCY, ROUTER, SCALING_METADATA, WAITING
from xds_server.graph import Facts, Graph, Overlay, Registered
from xds_server.snapshot import Catalogue, Dialect, diff, parked

SCALING = {"wake": {"url": "https://autoscaler.test/wake"}, "hold": "20s", "retryAfter": "7s"}
PATH = "acme/models/llama"


class Fleet:
    """A llama that scales from zero beside a mistral that does not, compiled step by step."""

    def __init__(self, **deployment: Any) -> None:
        revision = {"name": "v1", "registration": {"ttl": "30s"}}
        made = {"scaleFromZero": SCALING, **deployment}
        self.policies = w.build_graph(
            *w.FLEET,
            w.workspace(),
            w.location("lab"),
            w.model("llama", w.deployment(revision, **{k: v for k, v in made.items() if v is not None})),
            w.model("mistral", two_places()),
        )
        self._overlay = Overlay()
        self._compiler = Compiler(ROOTS)

    def lay(self, *registered: Registered) -> Graph:
        live = {PATH: Facts(registered=(("production", "v1", registered),))} if registered else {}
        return self._overlay.lay(self.policies, live)

    def compile(self, *registered: Registered) -> Catalogue:
        return self._compiler.compile(self.lay(*registered))


def one(weight: int = 1) -> Registered:
    return Registered("eu-west-3", None, "10.0.0.1:80", weight)


def route(catalogue: Catalogue, dialect: Dialect) -> dict[str, Any]:
    found: dict[str, Any] = shown(see(catalogue, dialect).get(ROUTES, PATH))["virtual_hosts"][0]["routes"][0]
    return found


def test_without_a_backend_the_cluster_is_parked_for_who_can_let_requests_wait() -> None:
    fleet = Fleet()
    asleep = fleet.compile()
    assert see(asleep).parks(CLUSTER, LLAMA)
    assert see(asleep).get(CLUSTER, LLAMA) is None
    for other in (Dialect(), Dialect(release=(1, 40)), Dialect(incremental=True, release=(1, 39))):
        plain = see(asleep, other)
        assert plain.get(CLUSTER, LLAMA) is not None
        assert "endpoints" not in shown(plain.get(ENDPOINTS, LLAMA))
    for weight, there in ((1, True), (0, False)):
        assert (see(fleet.compile(one(weight))).get(CLUSTER, LLAMA) is not None) is there


def test_who_comes_and_goes_changes_endpoints_and_the_first_and_last_the_cluster() -> None:
    fleet = Fleet()
    views = [
        see(fleet.compile(*those))
        for those in ((), (one(),), (one(), one()._replace(location="us-east-1")), ())
    ]
    found = [diff(was, now) for was, now in itertools.pairwise(views)]
    assert [(each.changed, each.removed) for each in found] == [
        ({ENDPOINTS: {LLAMA}}, {parked(CLUSTER): {LLAMA}}),
        ({ENDPOINTS: {LLAMA}}, {}),
        ({ENDPOINTS: {LLAMA}, parked(CLUSTER): {LLAMA}}, {}),
    ]


def test_nobody_else_is_any_different() -> None:
    with_it, without = see(Fleet().compile()), see(Fleet(scaleFromZero=None).compile())
    assert not without.has_parked
    changed = diff(without, with_it)
    assert (changed.changed, changed.removed) == ({ROUTES: {PATH}, parked(CLUSTER): {LLAMA}}, {})
    assert with_it.get(LISTENER, "edge/run") == without.get(LISTENER, "edge/run")


def test_the_filter_that_lets_requests_wait_stands_behind_all_that_may_refuse_them() -> None:
    names = [each["name"] for each in manager(see(Fleet().compile()))["http_filters"]]
    order = [ACCESS, RESIDENCY, INTERNAL_HEADERS, WAITING, ROUTER]
    assert [each for each in names if each in order] == order
    plain = [each["name"] for each in manager(see(Fleet().compile(), Dialect()))["http_filters"]]
    assert WAITING not in plain


def test_the_route_says_how_long_to_wait_and_when_to_come_back() -> None:
    catalogue = Fleet().compile()
    waiting = route(catalogue, FETCHING)
    assert waiting["typed_per_filter_config"][WAITING]["odcds"]["timeout"] == "20s"
    told = {"environment": "production", "revisions": "v1", "retry_after": "7"}
    for each in (waiting, route(catalogue, Dialect())):
        assert each["metadata"]["filter_metadata"] == {SCALING_METADATA: told}
    assert WAITING not in route(catalogue, Dialect()).get("typed_per_filter_config", {})
