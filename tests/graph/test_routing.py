"""How a deployment orders its places, and what `explain` says of it: the same as what Envoys are sent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.graph import world as w
from xds_server.compiler import show
from xds_server.compiler.load_assignment import compile_assignment
from xds_server.graph import Decision, Graph, explain, order_backends

LLAMA = "/acme/models/llama"
PLACES = ["eu-west-3", "eu-central-1", "us-east-1", "ap-northeast-1", "sa-east-1"]
REGIONS = [*PLACES, "us-west-2", "nowhere"]


def _graph(*revisions: Any, policies: tuple[str, ...] = (), **said: Any) -> Graph:
    return w.build_graph(
        *w.FLEET,
        w.workspace(),
        w.places("far", ("continent", "na"), ("continent", "as"), ("continent", "sa")),
        w.model("llama", w.deployment(*revisions, policies=policies, **said)),
    )


def _spread(**more: Any) -> Any:
    backends = [w.backend(place, f"10.0.0.{at}:80") for at, place in enumerate(PLACES)]
    return w.revision("v1", *backends, w.backend("us-east-1", "10.0.1.1:80", standby=True), **more)


def _tiers(graph: Graph, region: str) -> list[tuple[int, str, int, bool]]:
    revision = w.endpoint(graph).deployments[0].revisions[0]
    return [
        (tier.priority, tier.place.name, tier.weight, tier.standby)
        for tier in order_backends(revision, graph.regions.get(region))
    ]


def test_named_places_come_first_from_everywhere_and_the_rest_by_distance() -> None:
    graph = _graph(_spread(), routing={"order": ["us-east-1", "sa-east-1"]})
    assert [place for _, place, _, _ in _tiers(graph, "eu-west-3")] == [
        *("us-east-1", "sa-east-1", "eu-west-3", "eu-central-1", "ap-northeast-1"),
        "us-east-1",
    ]
    assert [place for _, place, _, _ in _tiers(graph, "ap-northeast-1")][:3] == [
        *("us-east-1", "sa-east-1", "ap-northeast-1"),
    ]


def test_weighted_places_share_and_the_others_wait_by_distance_standbys_last() -> None:
    weights = {"us-east-1": 20, "eu-west-3": 80, "sa-east-1": 0}
    graph = _graph(_spread(), routing={"mode": "weighted", "weights": weights})
    assert _tiers(graph, "ap-northeast-1") == [
        (0, "eu-west-3", 80, False),
        (0, "us-east-1", 20, False),
        (1, "ap-northeast-1", 1, False),
        (2, "eu-central-1", 1, False),
        (3, "us-east-1", 1, True),
    ]


def test_a_revision_without_a_weighted_place_goes_by_distance() -> None:
    graph = _graph(
        w.revision("v1", w.backend("us-east-1"), w.backend("eu-west-3"), weight=1),
        w.revision("v2", w.backend("sa-east-1"), weight=1),
        routing={"mode": "weighted", "weights": {"sa-east-1": 1}},
    )
    assert [place for _, place, _, _ in _tiers(graph, "eu-west-3")] == ["eu-west-3", "us-east-1"]


def test_a_pinned_deployment_has_no_other_place() -> None:
    graph = _graph(_spread(), routing={"mode": "pinned", "location": "us-east-1"})
    for region in REGIONS:
        assert _tiers(graph, region) == [(0, "us-east-1", 1, False), (1, "us-east-1", 1, True)]
    revision = w.endpoint(graph).deployments[0].revisions[0]
    assert {each.place.name for each in revision.backends} == {"us-east-1"}
    assert {each.place.name for each in revision.aside} == {*PLACES} - {"us-east-1"}


def test_routing_may_name_a_place_that_policy_leaves_to_another_revision() -> None:
    """Refused is only what no revision may use."""
    gpu = w.flavors("gpu", {"type": "gpu"})
    graph = w.build_graph(
        *w.FLEET,
        w.workspace(),
        w.location("lab", flavors=[{"name": "t4", "type": "gpu"}, {"name": "small", "type": "cpu"}]),
        gpu,
        w.model(
            "llama",
            w.deployment(
                w.revision("v1", w.backend("lab", "10.0.0.1:80", flavor="t4"), weight=1),
                w.revision("v2", w.backend("lab", "10.0.0.2:80", flavor="small"), weight=0),
                policies=("gpu",),
                routing={"mode": "pinned", "location": "lab"},
            ),
        ),
    )
    assert [each.place.name for each in w.endpoint(graph).deployments[0].revisions[0].backends] == ["lab"]


@pytest.mark.parametrize(
    ("backends", "attempts", "most"), [(1, 3, 0), (2, 3, 1), (3, 1, 1), (3, 9, 2), (3, 0, 0)]
)
def test_where_429_is_a_reason_nobody_is_asked_twice(backends: int, attempts: int, most: int) -> None:
    many = [w.backend(place, f"10.0.0.{at}:80") for at, place in enumerate(PLACES[:backends])]
    out = w.backend("us-west-2", "10.0.0.9:80", weight=0)
    retries = {"attempts": attempts, "retryOn429": True} if attempts else {"attempts": 0}
    graph = _graph(
        w.revision("v1", *many, out, weight=1),
        w.revision("v2", out | {"weight": 1}, weight=0),
        retries=retries,
    )
    assert w.endpoint(graph).deployments[0].attempts == most


def _ask(graph: Graph, region: str, method: str = "POST") -> Decision:
    return explain(graph, LLAMA, region=region, method=method)


def test_explain_tells_shares_reasons_and_bounds() -> None:
    graph = _graph(
        _spread(),
        routing={"mode": "weighted", "weights": {"us-east-1": 1, "eu-west-3": 3, "sa-east-1": 0}},
        retries={"attempts": 2, "perTryTimeout": "5s"},
        timeouts={"idle": "20s"},
        limits={"requests": 7},
    )
    decision = _ask(graph, "eu-west-3", "GET")
    [share] = decision.shares
    assert [(hop.place, hop.priority, hop.percent) for hop in share.hops][:3] == [
        ("eu-west-3", 0, 75.0),
        ("us-east-1", 0, 25.0),
        ("eu-central-1", 1, 100.0),
    ]
    [out] = share.excluded
    assert (out.place, out.left_out) == ("sa-east-1", "routing gives the place weight 0")
    assert decision.routing is not None
    assert (decision.routing.mode, decision.attempts, share.limits.requests) == ("weighted", 2, 7)
    assert {"gone before it answered", "503", "silent for 5s"} <= {*decision.retried_on}
    assert decision.handling is not None
    assert decision.handling.idle == 20.0
    assert not {"gone before it answered", "503"} & {*_ask(graph, "eu-west-3", "POST").retried_on}


_PLACE = st.sampled_from(PLACES)
_BACKENDS = st.lists(
    st.tuples(_PLACE, st.integers(1, 3), st.booleans()), min_size=1, max_size=6, unique_by=lambda each: each
)


@st.composite
def deployments(draw: st.DrawFn) -> tuple[Any, dict[str, Any]]:
    """A revision with some backends, and a routing that fits it."""
    drawn = draw(_BACKENDS)
    there = sorted({place for place, _, _ in drawn})
    backends = [
        w.backend(place, f"10.0.0.{at}:80", weight=weight, standby=standby)
        for at, (place, weight, standby) in enumerate(drawn)
    ]
    some = st.lists(st.sampled_from(there), min_size=1, unique=True)
    match draw(st.sampled_from(["silent", "order", "weighted", "pinned"])):
        case "order":
            routing: dict[str, Any] = {"order": draw(some)}
        case "weighted":
            names = draw(some)
            routing = {"mode": "weighted", "weights": {name: draw(st.integers(1, 9)) for name in names}}
        case "pinned":
            routing = {"mode": "pinned", "location": draw(st.sampled_from(there))}
        case _:
            return w.revision("v1", *backends), {}
    return w.revision("v1", *backends), {"routing": routing}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deployments(), st.sampled_from(REGIONS), st.booleans())
def test_explain_tells_what_the_endpoints_say(
    drawn: tuple[Any, dict[str, Any]], region: str, bound: bool
) -> None:
    """Order, places, weights and addresses, for any deployment as any region sees it."""
    revision, said = drawn
    built = w.build(
        *w.FLEET,
        w.workspace(),
        w.places("far", ("continent", "na"), ("continent", "as"), ("continent", "sa")),
        w.model("llama", w.deployment(revision, policies=("far",) if bound else (), **said)),
    )
    if built.errors:
        assert bound
        assert {each.code for each in built.errors} <= {"no-allowed-place", "place-not-allowed"}
        return
    [share] = _ask(built.graph, region).shares
    endpoint = w.endpoint(built.graph)
    origin = built.graph.regions.get(region)
    resource = compile_assignment(endpoint, "production", endpoint.deployments[0].revisions[0], origin)
    sent = [
        (
            locality.get("priority", 0),
            locality["locality"]["zone"],
            locality.get("load_balancing_weight", 1),
            tuple(_endpoint(each) for each in locality["lb_endpoints"]),
        )
        for locality in show(resource)["endpoints"]
    ]
    assert [(hop.priority, hop.place, hop.weight, hop.addresses) for hop in share.hops] == sent
    for priority in {hop.priority for hop in share.hops}:
        assert sum(hop.percent for hop in share.hops if hop.priority == priority) == pytest.approx(100)
    standby = [hop.standby for hop in share.hops]
    assert standby == sorted(standby), "standbys are last"


def _endpoint(each: dict[str, Any]) -> tuple[str, int]:
    address = each["endpoint"]["address"]["socket_address"]
    return f"http://{address['address']}:{address['port_value']}", each["load_balancing_weight"]
