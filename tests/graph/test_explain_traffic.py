"""What is told of how requests are dealt to revisions."""

from __future__ import annotations

import pytest

from tests.graph import world as w
from xds_server.graph import Decision, Graph, explain

_TESTER = {"claim": "role", "anyOf": ["tester"]}
_STICKY = {"header": "X-User-Id", "claim": ["account", "id"], "cookie": {"name": "s", "ttl": "90m"}}


@pytest.fixture(scope="module")
def graph() -> Graph:
    weights = {"v2": 1, "v1": 2, "v0": 0}
    two = [w.revision(name, w.backend("eu-west-3"), weight=weight) for name, weight in weights.items()]
    return w.build_graph(
        w.gateway(),
        w.issuer("dev"),
        w.workspace("acme"),
        w.model("sticky", w.deployment(*two, sticky=_STICKY)),
        w.model("single", w.deployment(w.revision("v1", w.backend("eu-west-3")), sticky=_STICKY)),
        w.model("plain", w.deployment(*two)),
        w.model(
            "copied",
            w.deployment(*two, shadow={"revision": "v0", "percent": 12.5}, testers={"claims": [_TESTER]}),
        ),
        w.model("choosy", w.deployment(*two, sticky=_STICKY, testers={"claims": [_TESTER]})),
    )


def ask(graph: Graph, url: str, role: str | None = None, **headers: str) -> Decision:
    claims = {"iss": w.ISSUER, "workspaces": ["acme"], "role": role} if role is not None else None
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return explain(graph, f"/acme/models/{url}", region="eu-west-3", claims=claims, headers=named)


def test_the_keys_are_told_in_order(graph: Graph) -> None:
    assert ask(graph, "sticky").sticky == (
        "header x-user-id",
        "claim account.id",
        "cookie s, given for 90m",
    )


@pytest.mark.parametrize("name", ["single", "plain"])
def test_where_there_is_nothing_to_pick_or_no_key_there_is_nothing_to_tell(graph: Graph, name: str) -> None:
    assert ask(graph, name).sticky == ()


def test_shares_are_those_that_callers_meet(graph: Graph) -> None:
    shares = {share.revision: share.percent for share in ask(graph, "sticky").shares}
    assert shares == {"v2": 33.33, "v1": 66.67, "v0": 0.0}
    assert {share.weight for share in ask(graph, "sticky").shares} == {0, 1, 2}


def test_a_choice_is_all_of_the_split(graph: Graph) -> None:
    for decision, source in (
        (ask(graph, "choosy?revision=v0", "tester"), "the query"),
        (
            ask(graph, "choosy", "tester", x_fairlead_use_revision="v0"),
            "the header x-fairlead-use-revision",
        ),
    ):
        assert decision.refusal is None
        assert (decision.revision, decision.revision_from, decision.sticky) == ("v0", source, ())
        assert [(share.revision, share.percent) for share in decision.shares] == [("v0", 100.0)]


def test_who_is_no_tester_may_not_choose(graph: Graph) -> None:
    for url in ("choosy?revision=v0", "choosy?revision=nope"):
        refusal = ask(graph, url, "guest").refusal
        assert refusal is not None
        assert (refusal.status, refusal.code) == (403, "REVISION_FORBIDDEN")


def test_without_testers_nothing_is_a_choice(graph: Graph) -> None:
    decision = ask(graph, "plain?revision=v0&revision=v1", x_fairlead_use_revision="v2")
    assert (decision.refusal, decision.revision) == (None, None)


def test_a_shadow_is_told_beside_the_split(graph: Graph) -> None:
    decision = ask(graph, "copied")
    assert decision.shadow is not None
    assert (decision.shadow.percent, decision.shadow.share.revision) == (12.5, "v0")
    assert decision.shadow.share.hops
    assert sum(share.percent for share in decision.shares) == pytest.approx(100)
    assert ask(graph, "copied?revision=v1").shadow is None
    assert ask(graph, "plain").shadow is None
