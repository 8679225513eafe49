"""What moves at run time, laid over graphs: it reaches what it means, and nothing else is made anew."""

from __future__ import annotations

from typing import Any

from tests.graph import world as w
from xds_server.graph import Endpoint, Facts, Graph, Moved, Overlay, explain, order_backends

LLAMA, MISTRAL = "acme/models/llama", "acme/models/mistral"
PLAN = {"from": "v1", "to": "v2", "canary": [5, 100]}


def graph(**rollout: Any) -> Graph:
    revisions = [w.revision(name, w.backend("eu-west-3", f"{name}.test:80")) for name in ("v1", "v2", "v3")]
    models = [
        w.model(name, w.deployment(*revisions, rollout={**PLAN, **rollout})) for name in ("llama", "mistral")
    ]
    other = (w.workspace("globex"), w.model("phi", within="globex"))
    return w.build_graph(*w.FLEET, w.workspace(), *models, *other)


def facts(percent: int, old: str = "v1", new: str = "v2", environment: str = "production") -> Facts:
    return Facts(rollouts=((environment, Moved(old, new, percent)),))


def split(endpoint: Endpoint) -> dict[str, int]:
    deployment = endpoint.deployment("production")
    assert deployment is not None
    return {each.name: each.weight for each in deployment.revisions}


def test_a_rollout_moves_its_endpoint_and_all_else_is_the_same_object() -> None:
    found = graph()
    laid = Overlay().lay(found, {LLAMA: facts(25)})
    assert split(laid.endpoints[LLAMA]) == {"v1": 75, "v2": 25, "v3": 0}
    assert split(found.endpoints[LLAMA]) == {"v1": 100, "v2": 0, "v3": 0}
    changed, gone = laid.endpoints.since(found.endpoints)
    assert (changed, gone) == ({LLAMA}, set())
    assert laid.tenants["globex"] is found.tenants["globex"]
    assert laid.clusters == found.clusters
    assert set(laid.endpoints) == set(found.endpoints)


def test_nothing_that_moves_leaves_the_graph_itself() -> None:
    found = graph()
    assert Overlay().lay(found, {}) is found
    assert Overlay().lay(found, {LLAMA: facts(0)}) is found
    assert Overlay().lay(found, {"acme/models/gone": facts(50)}) is found


def test_what_belongs_to_another_rollout_or_deployment_counts_for_nothing() -> None:
    found = graph()
    for other in (facts(50, new="v3"), facts(50, old="v3"), facts(50, environment="development")):
        assert Overlay().lay(found, {LLAMA: other}) is found


def test_step_by_step_only_what_moves_is_made() -> None:
    found, overlay = graph(), Overlay()
    first = overlay.lay(found, {LLAMA: facts(5), MISTRAL: facts(5)})
    second = overlay.lay(found, {LLAMA: facts(25), MISTRAL: facts(5)})
    assert second.endpoints.since(first.endpoints) == ({LLAMA}, set())
    third = overlay.lay(found, {})
    assert third is found
    assert third.endpoints.since(second.endpoints) == ({LLAMA, MISTRAL}, set())


def test_a_graph_that_follows_keeps_what_moves() -> None:
    overlay, live = Overlay(), {LLAMA: facts(25)}
    overlay.lay(graph(), live)
    later = graph(state="paused")
    assert split(overlay.lay(later, live).endpoints[LLAMA]) == {"v1": 75, "v2": 25, "v3": 0}


def test_explain_says_who_decides_and_where_it_begins() -> None:
    told = explain(graph(), f"/{LLAMA}", region="eu-west-3")
    assert [(share.revision, share.percent) for share in told.shares] == [("v1", 100), ("v2", 0), ("v3", 0)]
    assert told.notes == (
        "a rollout from v1 to v2 (canary 5, 100) decides the shares, and these are those it begins with; "
        "how it stands: fairlead rollout status",
    )
    told = explain(graph(state="promoted"), f"/{LLAMA}", region="eu-west-3")
    assert [share.percent for share in told.shares] == [0, 100, 0]
    assert told.notes == ("a rollout from v1 to v2 (canary 5, 100) decides the shares; it is promoted",)


def test_a_region_that_spills_has_the_next_place_beside_the_first() -> None:
    places = ("eu-west-3", "eu-central-1", "us-east-1")
    backends = [w.backend(place, f"10.0.0.{at}:80") for at, place in enumerate(places)]
    standby = w.backend("ap-northeast-1", "10.0.0.9:80", standby=True)
    overflow = {"above": 10, "below": 5, "share": 30}
    deployed = w.deployment(w.revision("v1", *backends, standby), routing={"overflow": overflow})
    found = w.build_graph(*w.FLEET, w.workspace(), w.model("llama", deployed))
    laid = Overlay().lay(found, {LLAMA: Facts(spills=(("production", ("eu-west-3",)),))})

    def tiers(graph: Graph, region: str) -> list[tuple[int, str, int]]:
        [revision] = graph.endpoints[LLAMA].deployments[0].revisions
        return [
            (each.priority, each.place.name, each.weight)
            for each in order_backends(revision, graph.regions[region])
        ]

    assert tiers(laid, "eu-west-3") == [
        (0, "eu-west-3", 70),
        (0, "eu-central-1", 30),
        (1, "us-east-1", 1),
        (2, "ap-northeast-1", 1),
    ]
    assert tiers(laid, "us-east-1") == tiers(found, "us-east-1")


def test_without_another_place_nothing_spills() -> None:
    overflow = {"above": 10, "below": 5, "share": 30}
    only = w.revision("v1", w.backend("eu-west-3", "10.0.0.1:80"))
    deployed = w.deployment(only, routing={"overflow": overflow})
    found = w.build_graph(*w.FLEET, w.workspace(), w.model("llama", deployed))
    laid = Overlay().lay(found, {LLAMA: Facts(spills=(("production", ("eu-west-3",)),))})
    [revision] = laid.endpoints[LLAMA].deployments[0].revisions
    assert [each.weight for each in order_backends(revision, laid.regions["eu-west-3"])] == [1]
