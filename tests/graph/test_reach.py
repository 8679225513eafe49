"""Which workspaces an issuer's tokens may enter."""

from __future__ import annotations

from typing import Any

import pytest

from tests.graph import world as w
from xds_server.graph import Graph, Reach, explain


def graph(**trusts: tuple[str, ...]) -> Graph:
    issuers = [w.issuer(name, issuer=f"https://{name}.example") for name in ("one", "two")]
    workspaces = [
        w.manifest("Workspace", name.replace("_", "-"), {"issuers": list(each)})
        for name, each in trusts.items()
    ]
    return w.build_graph(w.gateway(), *issuers, *workspaces)


@pytest.mark.parametrize(
    ("trusts", "reach"),
    [
        ({"a": ("one",), "b": ("one",)}, Reach(frozenset(), all_but=True)),
        ({"a": ("one",), "b": ("one",), "c": ("two",)}, Reach(frozenset("c"), all_but=True)),
        ({"a": ("one",), "b": ("two",)}, Reach(frozenset("a"), all_but=False)),
        ({"a": ("one",), "b": ("two",), "c": ("two",)}, Reach(frozenset("a"), all_but=False)),
        ({"a": ("two",), "b": ("two",)}, Reach(frozenset(), all_but=False)),
        ({"a": (), "b": ()}, Reach(frozenset(), all_but=False)),
    ],
)
def test_is_told_by_the_shorter_list(trusts: dict[str, tuple[str, ...]], reach: Reach) -> None:
    found = graph(**trusts)
    assert found.find_reach("one") == reach
    for name, issuers in trusts.items():
        assert reach.covers(name) is ("one" in issuers)


@pytest.mark.parametrize(
    ("trusts", "status"),
    [
        ({"a": ("one",)}, 404),
        ({"a": ("one",), "b": ("one",), "c": ("two",)}, 404),
        ({"a": ("one",), "b": ("two",)}, 403),
        ({"a": ("two",)}, 403),
    ],
)
def test_explain_answers_for_an_undeclared_workspace_as_the_gateways_do(
    trusts: dict[str, tuple[str, ...]], status: int
) -> None:
    claims: dict[str, Any] = {"iss": "https://one.example", "workspaces": ["ghost"]}
    found = graph(**trusts)
    decision = explain(found, "/ghost/models/x", region="eu-west-3", claims=claims)
    assert decision.refusal is not None
    assert decision.refusal.status == status
    assert found.find_reach("one").covers("ghost") is (status == 404)
