"""When models are fetched on demand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.graph import world as w
from xds_server.graph import Graph, explain, find_delivery
from xds_server.graph.delivery import LARGE
from xds_server.shards import Shards


def gateway(**spec: Any) -> w.Manifest:
    made = w.gateway()
    made["spec"] |= spec
    return made


def graph(count: int, **spec: Any) -> Graph:
    """A graph of that many endpoints, in two workspaces."""
    made = w.build_graph(gateway(**spec), w.issuer(), w.workspace("acme"), w.workspace("beta"), w.model())
    acme = made.tenants["acme"]
    [endpoint] = acme.endpoints.values()
    halves = {"acme": range(count // 2), "beta": range(count // 2, count)}
    tenants = {}
    for name, half in halves.items():
        found = [replace(endpoint, workspace=name, name=f"m{at}") for at in half]
        tenants[name] = replace(acme, name=name, endpoints=Shards({each.path: each for each in found}))
    return Graph(made.places, made.edges, made.authorities, Shards(tenants))


@pytest.mark.parametrize(
    ("spec", "count", "expected"),
    [
        ({}, LARGE, "eager"),
        ({}, LARGE + 1, "on-demand"),
        ({"delivery": "auto"}, LARGE, "eager"),
        ({"delivery": "auto"}, LARGE + 1, "on-demand"),
        ({"delivery": "eager"}, LARGE + 1, "eager"),
        ({"delivery": "on-demand"}, 1, "on-demand"),
    ],
)
def test_auto_is_on_demand_above_a_thousand(spec: dict[str, str], count: int, expected: str) -> None:
    made = graph(count, **spec)
    assert find_delivery(made, made.edges["edge"]) == expected


def test_clients_without_envoy_are_served_eagerly() -> None:
    made = graph(LARGE + 1)
    proxyless = w.manifest("Gateway", "services", {"proxyless": {"workspaces": ["acme"]}})
    services = w.build_graph(proxyless, w.issuer(), w.workspace("acme"), w.model()).edges["services"]
    many = Graph(made.places, {**made.edges, "services": services}, made.authorities, made.tenants)
    assert find_delivery(many, services) == "eager"


def test_a_model_says_that_it_is_warm() -> None:
    made = w.build_graph(*w.FLEET, w.workspace(), w.model("llama", warm=True), w.model("mistral"))
    assert {each.name: each.warm for each in made.endpoints.values()} == {
        "llama": True,
        "mistral": False,
    }


@pytest.mark.parametrize(
    ("warm", "delivery", "words"),
    [
        (False, "eager", []),
        (True, "eager", []),
        (False, "on-demand", ["Envoys fetch the model's configuration with the first request for it"]),
        (True, "on-demand", ["the model is warm: Envoys have its configuration from the start"]),
    ],
)
def test_explain_says_when_envoys_have_the_model(warm: bool, delivery: Any, words: list[str]) -> None:
    made = w.build_graph(*w.FLEET, w.workspace(), w.model("llama", warm=warm))
    decision = explain(made, "/acme/models/llama", region="eu-west-3", delivery=delivery)
    assert [*decision.notes] == words
    unknown = explain(made, "/acme/models/unknown", region="eu-west-3", delivery=delivery)
    assert unknown.notes == ()
