"""Since which generation no cluster has gone: what of the past is worth remembering."""

from __future__ import annotations

from typing import Any

import pytest

from tests.graph import world as w
from xds_server.compiler import Compiler
from xds_server.graph import Facts, Graph, Moved, Overlay, Registered
from xds_server.protocol.types import CLUSTER
from xds_server.snapshot import Audience, Catalogue

PLAN = {"from": "v1", "to": "v2", "canary": [20, 100]}
EDGE = Audience("edge", "eu-west-3")
LLAMA = "acme/models/llama"


def graph(*revisions: Any, others: tuple[Any, ...] = (), **deployed: Any) -> Graph:
    made = w.model("llama", w.deployment(*(revisions or (v("v1"),)), **deployed))
    return w.build_graph(*w.FLEET, w.workspace(), made, *others)


def v(name: str, address: str = "10.0.0.1:80", **more: Any) -> Any:
    return w.revision(name, w.backend("eu-west-3", address), w.backend("us-east-1", address), **more)


def names(catalogue: Catalogue) -> set[str]:
    view = catalogue.view(EDGE)
    assert view is not None
    return set(view.names(CLUSTER))


BASE = graph(v("v1", weight=1), v("v2", weight=1))
MISTRAL = w.model("mistral", w.deployment(v("v1")))


@pytest.mark.parametrize(
    ("before", "after", "stays"),
    [
        (BASE, graph(v("v1", weight=5), v("v2", weight=0)), True),
        (BASE, graph(v("v1", "10.0.0.2:80", weight=1), v("v2", weight=1)), True),
        (BASE, graph(v("v1", weight=1), v("v2", weight=1), v("v3", weight=1)), True),
        (BASE, graph(v("v1", weight=1), v("v2", weight=1), others=(MISTRAL,)), True),
        (BASE, graph(v("v1", "models.test:80", weight=1), v("v2", weight=1)), True),
        (BASE, graph(v("v1")), False),
        (BASE, graph(v("v1", weight=1), v("v3", weight=1)), False),
        (graph(others=(MISTRAL,)), graph(), False),
        (graph(v("v1", "models.test:80")), graph(v("v2", "models.test:80")), False),
    ],
)
def test_a_catalogue_knows_whether_it_has_all_clusters_of_the_last_one(
    before: Graph, after: Graph, stays: bool
) -> None:
    compiler = Compiler(w.ROOTS)
    first, second = compiler.compile(before), compiler.compile(after)
    assert (names(first) <= names(second)) is stays
    assert (second.intact_since <= first.generation) is stays
    # And so does the one after, of both.
    third = compiler.compile(after)
    assert third.intact_since == second.intact_since


def test_keys_that_are_fetched_no_more_go_too() -> None:
    fetched = w.issuer(jwks={"uri": "https://issuer.test/keys"})
    compiler = Compiler(w.ROOTS)
    fleet = [each for each in w.FLEET if each["kind"] != "Issuer"]
    models = (w.workspace(), w.model("llama", w.deployment(v("v1"))))
    first = compiler.compile(w.build_graph(*fleet, fetched, *models))
    second = compiler.compile(w.build_graph(*w.FLEET, *models))
    assert not names(first) <= names(second)
    assert second.intact_since == second.generation


def test_whatever_moves_takes_no_cluster_away() -> None:
    revisions = [v(name, registration={"ttl": "30s"}) for name in ("v1", "v2", "v3")]
    routing = {"overflow": {"above": 10, "below": 6, "share": 30}}
    found, compiler, overlay = graph(*revisions, rollout=PLAN, routing=routing), Compiler(w.ROOTS), Overlay()
    first = compiler.compile(found)
    for percent in (0, 20, 100):
        for regions in ((), ("eu-west-3",)):
            for weight in (0, 1):
                backend = Registered("eu-central-1", None, "10.0.0.9:80", weight)
                facts = Facts(
                    (("production", Moved("v1", "v2", percent)),),
                    (("production", regions),),
                    (("production", "v3", (backend,)),),
                )
                moved = compiler.compile(overlay.lay(found, {LLAMA: facts}))
                assert moved.intact_since <= first.generation
                assert names(moved) == names(first)
