"""What a deployment offers to callers, and what `explain` says that a wish gets."""

from __future__ import annotations

from typing import Any

import pytest

from tests.graph import world as w
from xds_server.graph import HINT_HEADER, RESIDENCY_HEADER, Decision, Graph, explain, list_residencies

Wish = dict[str, str]


def wish(residency: str | None = None, hint: str | None = None) -> Wish:
    """The headers that say so."""
    said = {RESIDENCY_HEADER: residency, HINT_HEADER: hint}
    return {name: each for name, each in said.items() if each is not None}


LLAMA = "/acme/models/llama"
PARIS, FRANKFURT, VIRGINIA = "eu-west-3", "eu-central-1", "us-east-1"
IN_PARIS = {"country:fr", f"location:{PARIS}"}
IN_FRANKFURT = {"country:de", f"location:{FRANKFURT}"}
IN_VIRGINIA = {"na", "country:us", f"location:{VIRGINIA}"}
CLAIMS: dict[str, Any] = {"iss": w.ISSUER, "aud": "fairlead", "workspaces": ["acme"]}


def _graph(*revisions: Any, policies: tuple[str, ...] = (), choice: bool = True, **spec: Any) -> Graph:
    routing = {"callerChoice": True} if choice else {}
    return w.build_graph(
        w.gateway(),
        w.issuer(residencyClaim=["tenant", "residency"]),
        w.workspace(**spec),
        w.places("europe", ("continent", "eu")),
        w.model("llama", w.deployment(*revisions, policies=policies, routing=routing)),
    )


def _at(name: str, *places: str, **more: Any) -> Any:
    return w.revision(name, *(w.backend(place) for place in places), **more)


def _offered(graph: Graph) -> set[str]:
    return set(list_residencies(w.endpoint(graph).deployments[0]))


def _places(decision: Decision) -> list[tuple[str, int]]:
    assert decision.refusal is None, decision.refusal
    return [(hop.place, hop.priority) for hop in decision.shares[0].hops]


def test_offered_is_what_every_revision_of_the_split_can_keep_within() -> None:
    assert _offered(_graph(_at("v1", PARIS, VIRGINIA))) == {"eu"} | IN_PARIS | IN_VIRGINIA
    both = _graph(_at("v1", PARIS, VIRGINIA, weight=1), _at("v2", FRANKFURT, VIRGINIA, weight=1))
    assert _offered(both) == {"eu"} | IN_VIRGINIA
    idle = _graph(_at("v1", PARIS, VIRGINIA, weight=1), _at("v2", FRANKFURT, weight=0))
    assert _offered(idle) == {"eu"} | IN_PARIS | IN_VIRGINIA


def test_offered_is_what_policy_allows() -> None:
    assert _offered(_graph(_at("v1", PARIS, VIRGINIA), policies=("europe",))) == {"eu"} | IN_PARIS


def test_a_backend_of_weight_0_offers_nothing() -> None:
    out = w.revision("v1", w.backend(PARIS), w.backend(VIRGINIA, weight=0))
    assert _offered(_graph(out)) == {"eu"} | IN_PARIS


def test_without_a_choice_nothing_is_offered() -> None:
    graph = _graph(_at("v1", PARIS), choice=False)
    assert _offered(graph) == set()
    found = explain(graph, LLAMA, region=PARIS, headers=wish("eu")).refusal
    assert found is not None
    assert (found.status, found.code) == (403, "RESIDENCY_NOT_OFFERED")
    assert "callerChoice" in found.reason


@pytest.mark.parametrize(
    ("headers", "places"),
    [
        (wish(), [(PARIS, 0), (FRANKFURT, 1), (VIRGINIA, 2)]),
        (wish("eu"), [(PARIS, 0), (FRANKFURT, 1)]),
        (wish("na"), [(VIRGINIA, 0)]),
        (wish(hint=VIRGINIA), [(VIRGINIA, 0), (PARIS, 1), (FRANKFURT, 2)]),
        (wish("eu", VIRGINIA), [(PARIS, 0), (FRANKFURT, 1)]),
        (wish("eu", FRANKFURT), [(FRANKFURT, 0), (PARIS, 1)]),
        (wish(hint="nowhere"), [(PARIS, 0), (FRANKFURT, 1), (VIRGINIA, 2)]),
    ],
)
def test_a_wish_narrows_and_orders(headers: Wish, places: list[tuple[str, int]]) -> None:
    graph = _graph(_at("v1", PARIS, FRANKFURT, VIRGINIA))
    assert _places(explain(graph, LLAMA, region=PARIS, headers=headers)) == places


def test_a_hint_does_not_lead_to_a_standby() -> None:
    standby = w.revision("v1", w.backend(PARIS), w.backend(VIRGINIA, standby=True))
    hinted = explain(_graph(standby), LLAMA, region=PARIS, headers=wish(hint=VIRGINIA))
    assert _places(hinted) == [(PARIS, 0), (VIRGINIA, 1)]


@pytest.mark.parametrize(
    ("within", "required", "outcome"),
    [
        ("eu", False, [PARIS, FRANKFURT]),
        ("country:de", True, [FRANKFURT]),
        (None, False, [PARIS, FRANKFURT, VIRGINIA]),
        (None, True, "FORBIDDEN"),
        ("", False, "FORBIDDEN"),
        ("as", False, "RESIDENCY_NOT_OFFERED"),
        (["eu"], False, "FORBIDDEN"),
    ],
)
def test_a_claim_binds(within: Any, required: bool, outcome: Any) -> None:
    graph = _graph(_at("v1", PARIS, FRANKFURT, VIRGINIA), residencyRequired=required)
    claims = CLAIMS if within is None else {**CLAIMS, "tenant": {"residency": within}}
    decision = explain(graph, LLAMA, region=PARIS, claims=claims)
    if isinstance(outcome, str):
        assert decision.refusal is not None
        assert (decision.refusal.status, decision.refusal.code) == (403, outcome)
    else:
        assert [place for place, _ in _places(decision)] == outcome


def test_a_graph_that_follows_another_knows_where_callers_may_hint() -> None:
    world = w.World()
    choice = {"callerChoice": True}

    def build(*models: Any) -> dict[str, int]:
        built = world.build({"all.yaml": w.write(*w.FLEET, w.workspace(), *models)})
        assert not built.errors
        return dict(built.graph.choices)

    def named(name: str, *places: str, **more: Any) -> Any:
        return w.model(name, w.deployment(_at("v1", *places), **more))

    assert build(named("a", PARIS)) == {}
    assert build(named("a", PARIS, routing=choice)) == {PARIS: 1}
    assert build(named("a", PARIS, routing=choice), named("b", PARIS, VIRGINIA, routing=choice)) == {
        PARIS: 2,
        VIRGINIA: 1,
    }
    assert build(named("b", VIRGINIA, routing=choice)) == {VIRGINIA: 1}
    assert build(named("b", VIRGINIA)) == {}


def test_a_rollout_offers_from_the_beginning_what_it_can_keep_within_to_the_end() -> None:
    rollout = {"from": "v1", "to": "v2", "canary": [5, 100], "stepTime": "1m"}
    revisions = [_at("v1", PARIS, VIRGINIA), _at("v2", VIRGINIA)]
    routing = {"callerChoice": True}
    moving = w.model("llama", w.deployment(*revisions, routing=routing, rollout=rollout))
    assert _offered(w.build_graph(*w.FLEET, w.workspace(), moving)) == IN_VIRGINIA


def test_who_stays_as_it_was_does_not_trust_tokens_that_say_no_residency_any_more() -> None:
    """The workspace is kept for the mistake; its issuer's tokens would be bound to nothing by now."""
    world = w.World()

    def build(**issuer: Any) -> Graph:
        files = w.write(
            w.gateway(), w.issuer(**issuer), w.workspace(residencyRequired=True), w.model("llama")
        )
        return world.build({"all.yaml": files}).graph

    assert w.endpoint(build(residencyClaim="residency")).trusts
    assert w.endpoint(build()).trusts == ()
    assert w.endpoint(build(residencyClaim="residency")).trusts


NARROWED = "only revisions of weight 0 are in `country:us`, `location:us-east-1`, `na`: no request can be bound to it"


@pytest.mark.parametrize("asked", [wish(), wish("na")])
def test_a_weight_of_0_that_takes_a_residency_away_is_told_of(asked: Wish) -> None:
    narrowed = _graph(_at("v1", PARIS, weight=1), _at("v2", PARIS, VIRGINIA, weight=0))
    told = explain(narrowed, LLAMA, region=PARIS, claims=CLAIMS, headers=asked)
    assert (told.refusal is None) is (not asked)
    assert NARROWED in told.notes


@pytest.mark.parametrize(
    "graph",
    [
        _graph(_at("v1", PARIS, VIRGINIA, weight=1), _at("v2", VIRGINIA, weight=0)),
        _graph(_at("v1", PARIS, VIRGINIA, weight=1), _at("v2", PARIS, weight=1)),
        _graph(_at("v1", PARIS, weight=1), _at("v2", VIRGINIA, weight=0), choice=False),
    ],
)
def test_where_weights_take_nothing_away_nothing_is_told(graph: Graph) -> None:
    told = explain(graph, LLAMA, region=PARIS, claims=CLAIMS)
    assert not [each for each in told.notes if "weight 0" in each]
