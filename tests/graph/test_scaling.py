"""Deployments that scale from zero: what they say, which revisions are without a backend, and what is told of it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.graph import world as w
from xds_server.graph import Facts, Graph, Overlay, Registered, explain, list_sleepers

PATH = "acme/models/llama"
WAKE = {"url": "https://autoscaler.test/wake"}
SLEEPER = {"name": "v1", "registration": {"ttl": "30s"}}


def graph(*revisions: dict[str, Any], policies: tuple[str, ...] = (), **scaling: Any) -> Graph:
    deployment = w.deployment(
        *(revisions or (SLEEPER,)), policies=policies, scaleFromZero={"wake": WAKE, **scaling}
    )
    europe = w.places("europe", ("continent", "eu"))
    return w.build_graph(*w.FLEET, w.workspace(), europe, w.model("llama", deployment))


def asleep(found: Graph, *registered: Registered) -> dict[str, bool]:
    live = {PATH: Facts(registered=(("production", "v1", registered),))} if registered else {}
    return {each.revision: each.asleep for each in list_sleepers(Overlay().lay(found, live).endpoints[PATH])}


def test_what_is_not_said() -> None:
    [sleeper] = list_sleepers(w.endpoint(graph()))
    scaling = sleeper.scaling
    assert (scaling.hold, scaling.retry_after) == (30.0, 10)
    assert (scaling.hook.every, scaling.hook.timeout) == (30.0, 5.0)
    assert (scaling.hook.token, scaling.hook.ca) == (None, None)


def test_when_to_come_back_is_in_whole_seconds() -> None:
    [sleeper] = list_sleepers(w.endpoint(graph(hold="500ms", retryAfter="1001ms")))
    assert (sleeper.scaling.hold, sleeper.scaling.retry_after) == (0.5, 2)


@pytest.mark.parametrize(
    ("registered", "expected"),
    [
        ((), True),
        ((Registered("eu-west-3", None, "10.0.0.1:80", 1),), False),
        ((Registered("eu-west-3", None, "10.0.0.1:80", 0),), True),
        ((Registered("us-east-1", None, "10.0.0.1:80", 1),), True),
        (
            (
                Registered("us-east-1", None, "10.0.0.1:80", 1),
                Registered("eu-west-3", None, "10.0.0.1:80", 1),
            ),
            False,
        ),
    ],
    ids=["none", "one", "out of use", "where policy forbids it", "one of two"],
)
def test_a_backend_that_cannot_serve_is_none(registered: tuple[Registered, ...], expected: bool) -> None:
    assert asleep(graph(policies=("europe",)), *registered) == {"v1": expected}


def test_only_revisions_whose_backends_register_can_be_without_one() -> None:
    declared = w.revision("v2", w.backend("eu-west-3"), weight=1)
    both = {
        **w.revision("v3", w.backend("eu-west-3", "10.0.0.3:80"), weight=1),
        "registration": {"ttl": "30s"},
    }
    found = graph({**SLEEPER, "weight": 1}, declared, both)
    assert asleep(found) == {"v1": True, "v3": False}


def test_what_it_does_to_a_request_is_told() -> None:
    decision = explain(graph(hold="45s", retryAfter="2m"), f"/{PATH}", region="eu-west-3")
    assert decision.refusal is None
    [note] = [each for each in decision.notes if "SCALING_FROM_ZERO" in each]
    assert "wait for 45s at most" in note
    assert WAKE["url"] in note
    assert "come again after 2m" in note


def test_nothing_is_told_of_others() -> None:
    found = w.build_graph(*w.FLEET, w.workspace(), w.model("llama", w.deployment(SLEEPER)))
    assert list(list_sleepers(w.endpoint(found))) == []
    decision = explain(found, f"/{PATH}", region="eu-west-3")
    assert not any("SCALING_FROM_ZERO" in each for each in decision.notes)
