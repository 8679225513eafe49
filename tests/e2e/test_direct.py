"""Testers choose a revision, whatever its weight; nobody else does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.crossing import GATEWAYS, Crossing, run_crossing
from tests.e2e.wire import Headers, bearer
from tests.e2e.world import PARIS
from xds_server.graph import explain

pytestmark = pytest.mark.envoy

_TESTERS = {"claims": [{"claim": ["team", "role"], "anyOf": ["tester", "owner"]}]}
_USE = "x-fairlead-use-revision"


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crossing]:
    with run_crossing(tmp_path_factory.mktemp("direct")) as running:
        revisions = [running.revision("v1", 90), running.revision("v2", 10), running.revision("v3", 0)]
        running.put("llama", running.deploy(*revisions, testers=_TESTERS, sticky={"header": "x-user-id"}))
        running.put("open", running.deploy(*revisions))
        running.put(
            "guarded",
            running.deploy(*revisions, testers=_TESTERS),
            access={"claims": [{"claim": "seat", "anyOf": ["yes"]}]},
        )
        yield running


@pytest.fixture
def tester(crossing: Crossing) -> Headers:
    return bearer(crossing.issuer.token("acme", team={"role": ["guest", "tester"]}))


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize("revision", ["v1", "v2", "v3"])
def test_a_tester_chooses_a_revision(
    crossing: Crossing, tester: Headers, gateway: str, revision: str
) -> None:
    """Also the one at weight 0, and in a model that this Envoy has never been asked for."""
    for target, header in (
        (f"llama/v1/chat?a=%20&revision={revision}&b", None),
        (f"llama?environment=production&revision={revision}", None),
        ("llama/v1/chat?b=1", (_USE, revision)),
    ):
        with crossing.upstreams.watch() as seen:
            answer = crossing.ask(target, [*tester, *([header] if header else [])], gateway)
        assert answer.status == 200, answer
        [met] = seen
        assert met.upstream == revision
        assert met.header("x-fairlead-revision") == revision
        assert met.target == target.removeprefix("llama") or met.target == f"/{target.removeprefix('llama')}"


def test_a_tester_who_names_none_gets_the_split(crossing: Crossing, tester: Headers) -> None:
    """One in ten meets v2: that none of so many does happens to one in a hundred thousand million."""
    callers = {str(at): tester for at in range(240)}
    assert set(crossing.deal("llama", callers).values()) == {"v1", "v2"}


def test_a_choice_outlives_a_change_of_weights(crossing: Crossing, tester: Headers) -> None:
    for weights in ((100, 0, 0), (0, 50, 50)):
        revisions = [crossing.revision(f"v{at + 1}", weight) for at, weight in enumerate(weights)]
        crossing.put("moving", crossing.deploy(*revisions, testers=_TESTERS))
        for name in ("v1", "v2", "v3"):
            assert crossing.ask(f"moving?revision={name}", tester).json()["upstream"] == name


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize("role", [None, "guest", ["a"], {"tester": True}])
def test_others_may_not_choose(crossing: Crossing, gateway: str, role: object) -> None:
    """Nor learn which revisions there are."""
    headers = bearer(crossing.issuer.token("acme", team={"role": role}))
    with crossing.upstreams.watch() as seen:
        for target, more in (
            ("llama?revision=v1", []),
            ("llama?revision=v3", []),
            ("llama?revision=nope", []),
            ("llama", [(_USE, "v2")]),
            ("llama", [(_USE, "nope")]),
        ):
            answer = crossing.ask(target, [*headers, *more], gateway)
            assert (answer.status, answer.code) == (403, "REVISION_FORBIDDEN"), (target, more)
    assert seen == []


def test_a_tester_needs_access_too(crossing: Crossing, tester: Headers) -> None:
    answer = crossing.ask("guarded?revision=v3", tester)
    assert (answer.status, answer.code) == (403, "FORBIDDEN")
    seated = crossing.issuer.token("acme", team={"role": "owner"}, seat="yes")
    assert crossing.ask("guarded?revision=v3", bearer(seated)).json()["upstream"] == "v3"


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize(
    ("query", "header", "status", "code"),
    [
        ("?revision=v9", None, 404, "REVISION_NOT_FOUND"),
        ("?revision=", None, 404, "REVISION_NOT_FOUND"),
        ("?revision", None, 404, "REVISION_NOT_FOUND"),
        ("?revision=%76%31", None, 404, "REVISION_NOT_FOUND"),
        ("?revision=V1", None, 404, "REVISION_NOT_FOUND"),
        ("", "v9", 404, "REVISION_NOT_FOUND"),
        ("", "v1,v1", 400, "BAD_REQUEST"),
        ("?revision=v1&revision=v2", None, 400, "BAD_REQUEST"),
        ("?revision=v1&a&revision=v1", None, 400, "BAD_REQUEST"),
        ("?revision&revision=v2", None, 400, "BAD_REQUEST"),
        ("?%72evision=v1", None, 400, "BAD_REQUEST"),
        ("?a&r%65v%69sion=v1", None, 400, "BAD_REQUEST"),
        ("?revision=v1&revisio%6e=v2", None, 400, "BAD_REQUEST"),
        ("?revision=v1", "v2", 400, "BAD_REQUEST"),
        ("?revision=v1", "v1", 400, "BAD_REQUEST"),
        ("?environment=development&revision=v1", None, 404, "DEPLOYMENT_NOT_FOUND"),
    ],
)
def test_what_is_no_choice_is_refused(
    crossing: Crossing, tester: Headers, gateway: str, query: str, header: str | None, status: int, code: str
) -> None:
    """And `explain` says the same."""
    more = [] if header is None else [(_USE, header)]
    with crossing.upstreams.watch() as seen:
        answer = crossing.ask(f"llama{query}", [*tester, *more], gateway)
    assert (answer.status, answer.code, seen) == (status, code, [])
    graph = crossing.control.newest.built.graph
    told = explain(graph, f"/acme/models/llama{query}", region=PARIS, headers=dict(more))
    assert told.refusal is not None
    assert (told.refusal.status, told.refusal.code) == (status, code)


@pytest.mark.parametrize("query", ["?revision=v3", "?revision=v3&revision=v9", "?%72evision=x"])
def test_without_testers_all_of_it_is_the_models_own(crossing: Crossing, query: str) -> None:
    with crossing.upstreams.watch() as seen:
        assert crossing.ask(f"open{query}", [*bearer(crossing.token), (_USE, "v3")]).status == 200
    assert seen[0].upstream != "v3"
    assert (seen[0].target, seen[0].header(_USE)) == (f"/{query}", "v3")


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize("names", [("v1", "v2"), ("v2", "v1"), ("v2", "v9"), ("v9", "v2"), ("v1", "v1")])
def test_a_header_that_is_sent_twice_is_refused(
    crossing: Crossing, tester: Headers, gateway: str, names: tuple[str, str]
) -> None:
    with crossing.upstreams.watch() as seen:
        answer = crossing.ask("llama", [*tester, *((_USE, name) for name in names)], gateway)
    assert (answer.status, answer.code, seen) == (400, "BAD_REQUEST", [])
