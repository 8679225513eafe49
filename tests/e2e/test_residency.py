"""Where a caller may say where: bound to a residency, hinted to a location; never beyond what policy allows."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cold import Cold, run_cold
from tests.e2e.manifest import Manifest, backend, manifest, revision, write
from tests.e2e.tokens import AUDIENCE, TestIssuer
from tests.e2e.upstream import Seen
from tests.e2e.wire import Answer, ask, bearer
from tests.e2e.world import FRANKFURT, PARIS, VIRGINIA
from xds_server.cli.policies import read
from xds_server.graph import explain

pytestmark = pytest.mark.envoy

RESIDENCY, HINT = "x-fairlead-residency", "x-fairlead-location-hint"
NEAR, NEXT, FAR = "one", "two", "three"
PLACES = {NEAR: PARIS, NEXT: FRANKFURT, FAR: VIRGINIA}
DEAD = "127.0.0.1:1"
FENCED = TestIssuer.make("https://fenced.test")


def _deployment(*revisions: dict[str, Any], routing: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    said = {} if routing is None else {"routing": routing}
    return {"environment": "production", "revisions": list(revisions), **said, **more}


@pytest.fixture(scope="module", params=["on-demand", "eager"])
def cold(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cold]:
    with run_cold(tmp_path_factory.mktemp("residency"), delivery=request.param) as running:
        at = {label: backend(place, running.upstreams[label].address) for label, place in PLACES.items()}
        everywhere, choice = revision("v1", *at.values()), {"callerChoice": True}
        split = [
            revision("v1", at[NEAR], at[FAR], weight=1),
            revision("v2", at[NEXT], at[FAR], weight=1),
        ]
        weighted = {"mode": "weighted", "weights": {PARIS: 1, VIRGINIA: 1}, **choice}
        standby = revision("v1", at[NEAR], {**at[FAR], "standby": True})
        broken = revision("v1", at[NEAR], at[NEXT], backend(VIRGINIA, DEAD))
        models = {
            "free": _deployment(everywhere, routing=choice),
            "bound": _deployment(everywhere, routing=choice, policies=["eu-only"]),
            "silent": _deployment(everywhere, routing=None),
            "split": _deployment(*split, routing=choice),
            "weighted": _deployment(everywhere, routing=weighted),
            "standby": _deployment(standby, routing=choice),
            "broken": _deployment(broken, routing=choice),
        }
        europe = {"type": "location", "locations": [{"type": "continent", "name": "eu"}]}
        manifests = [
            manifest("Policy", "eu-only", "acme", **europe),
            *(manifest("Model", name, "acme", deployments=[each]) for name, each in models.items()),
        ]
        running.save(lambda: write(running.folder, "acme/models.yaml", manifests))
        running.save(lambda: write(running.folder, "fenced.yaml", _fence(everywhere)))
        trusting = manifest("Workspace", "acme", issuers=["cold", "fenced"])
        running.save(lambda: write(running.folder, "acme/workspace.yaml", [trusting]))
        yield running


def _fence(everywhere: dict[str, Any]) -> list[Manifest]:
    """A second issuer, whose tokens are bound by a claim, and a workspace that wants no others."""
    named = {"issuer": FENCED.issuer, "audiences": [AUDIENCE], "jwks": {"inline": {"keys": [FENCED.jwk()]}}}
    issuer = manifest("Issuer", "fenced", **named, residencyClaim=["tenant", "residency"])
    strict = manifest("Workspace", "strict", issuers=["fenced"], residencyRequired=True)
    model = _deployment(everywhere, routing={"callerChoice": True})
    return [issuer, strict, manifest("Model", "free", "strict", deployments=[model])]


def _ask(cold: Cold, model: str, **headers: str) -> tuple[Answer, list[Seen]]:
    names = {"residency": RESIDENCY, "hint": HINT}
    with cold.upstreams.watch() as seen:
        answer = cold.ask(model, headers=[(names[key], value) for key, value in headers.items()])
    return answer, seen


def _served(cold: Cold, model: str, **headers: str) -> str:
    answer, _ = _ask(cold, model, **headers)
    return str(answer.json()["upstream"] if answer.status == 200 else answer.code)


@pytest.mark.parametrize(
    ("residency", "upstream"),
    [
        ("eu", NEAR),
        ("na", FAR),
        ("country:fr", NEAR),
        ("country:de", NEXT),
        ("country:us", FAR),
        (f"location:{FRANKFURT}", NEXT),
        (f"location:{VIRGINIA}", FAR),
    ],
)
def test_a_residency_binds_the_request(cold: Cold, residency: str, upstream: str) -> None:
    for _ in range(5):
        assert _served(cold, "free", residency=residency) == upstream


@pytest.mark.parametrize(
    ("model", "residency"),
    [
        ("free", "as"),
        ("free", "EU"),
        ("free", ""),
        ("free", "fr"),
        ("free", "eu,na"),
        ("free", "country:"),
        # Policy allows Europe only.
        ("bound", "na"),
        ("bound", f"location:{VIRGINIA}"),
        # Callers have no choice there: it could not be kept.
        ("silent", "eu"),
        ("silent", "na"),
        # One revision has nothing in France, and which one it will be is not the caller's choice.
        ("split", "country:fr"),
        ("split", "eu,eu"),
    ],
)
def test_what_is_not_offered_is_refused_and_goes_nowhere(cold: Cold, model: str, residency: str) -> None:
    answer, seen = _ask(cold, model, residency=residency)
    assert (answer.status, answer.code, seen) == (403, "RESIDENCY_NOT_OFFERED", [])
    error = answer.json()["error"]
    assert (error["origin"], error["retryable"]) == ("gateway", False)


def test_a_residency_said_twice_is_refused(cold: Cold) -> None:
    with cold.upstreams.watch() as seen:
        answer = cold.ask("free", headers=[(RESIDENCY, "eu"), (RESIDENCY, "na")])
    assert (answer.status, answer.code, seen) == (403, "RESIDENCY_NOT_OFFERED", [])


def test_each_revision_of_a_split_keeps_within_the_residency(cold: Cold) -> None:
    asked = {_served(cold, "split", residency="eu") for _ in range(40)}
    assert asked == {NEAR, NEXT}
    assert {_served(cold, "split", residency="na") for _ in range(10)} == {FAR}


@pytest.mark.parametrize(
    ("model", "hint", "upstream"),
    [
        ("free", FRANKFURT, NEXT),
        ("free", VIRGINIA, FAR),
        ("free", "nowhere", NEAR),
        ("free", "", NEAR),
        # A hint is a preference: where it can't be followed it says nothing.
        ("bound", VIRGINIA, NEAR),
        ("bound", FRANKFURT, NEXT),
        ("silent", VIRGINIA, NEAR),
        ("standby", VIRGINIA, NEAR),
        ("broken", FRANKFURT, NEXT),
    ],
)
def test_a_hint_is_followed_where_policy_allows_it(cold: Cold, model: str, hint: str, upstream: str) -> None:
    for _ in range(5):
        assert _served(cold, model, hint=hint) == upstream


def test_a_hint_to_a_place_that_is_down_says_nothing(cold: Cold) -> None:
    """Retries find another place, and once Envoy knows that the place is down it is not asked any more."""
    for _ in range(10):
        answer, _ = _ask(cold, "broken", hint=VIRGINIA)
        if answer.status == 200:
            assert answer.json()["upstream"] == NEAR
    assert _served(cold, "broken", hint=VIRGINIA) == NEAR


def test_a_hint_stays_within_the_residency(cold: Cold) -> None:
    assert _served(cold, "free", residency="eu", hint=FRANKFURT) == NEXT
    assert _served(cold, "free", residency="eu", hint=VIRGINIA) == NEAR
    assert _served(cold, "free", residency="na", hint=FRANKFURT) == FAR


def test_a_residency_that_is_down_goes_nowhere_else(cold: Cold) -> None:
    for _ in range(10):
        answer, seen = _ask(cold, "broken", residency="na")
        assert (answer.status, answer.code, seen) == (503, "UPSTREAM_UNAVAILABLE", [])
        assert answer.header("retry-after") is not None


def test_weighted_places_share_within_the_residency(cold: Cold) -> None:
    assert {_served(cold, "weighted") for _ in range(40)} == {NEAR, FAR}
    assert {_served(cold, "weighted", residency="na") for _ in range(10)} == {FAR}
    assert {_served(cold, "weighted", hint=FRANKFURT) for _ in range(10)} == {NEXT}


def test_a_standby_serves_a_residency_that_nobody_else_can(cold: Cold) -> None:
    assert _served(cold, "standby", residency="na") == FAR
    assert _served(cold, "standby") == NEAR


def _bound(cold: Cold, path: str, within: object, *headers: tuple[str, str]) -> Answer:
    """Ask with a token that is bound so."""
    claims = {} if within is None else {"tenant": {"residency": within}}
    token = FENCED.token("acme", "strict", **claims)
    return ask(cold.port, path, headers=[*bearer(token), *headers])


@pytest.mark.parametrize("workspace", ["acme", "strict"])
@pytest.mark.parametrize(
    ("within", "upstream"), [("eu", NEAR), ("na", FAR), ("country:de", NEXT), (f"location:{VIRGINIA}", FAR)]
)
def test_a_token_binds_its_caller(cold: Cold, workspace: str, within: str, upstream: str) -> None:
    """Also the second time, when Envoy knows the token already; and the model is not told."""
    for _ in range(3):
        with cold.upstreams.watch() as seen:
            answer = _bound(cold, f"/{workspace}/models/free", within)
        assert answer.json()["upstream"] == upstream
        assert not [name for each in seen for name, _ in each.headers if "fence" in name.lower()]


def test_headers_narrow_what_a_token_leaves_and_never_widen_it(cold: Cold) -> None:
    def served(within: str, *headers: tuple[str, str]) -> str:
        answer = _bound(cold, "/acme/models/free", within, *headers)
        return str(answer.json()["upstream"] if answer.status == 200 else answer.code)

    assert served("eu", (RESIDENCY, "country:de")) == NEXT
    assert served("eu", (HINT, FRANKFURT)) == NEXT
    assert served("eu", (HINT, VIRGINIA)) == NEAR
    assert served("eu", (HINT, FRANKFURT), (RESIDENCY, "country:fr")) == NEAR
    # Both bind, and no place is in both.
    assert served("eu", (RESIDENCY, "na")) == "UPSTREAM_UNAVAILABLE"
    # Nobody but the issuer says what a token is bound to.
    assert served("eu", ("x-fairlead-fence", "na")) == NEAR
    assert _served(cold, "free", residency="na") == FAR
    assert cold.ask("free", headers=[("x-fairlead-fence", "na")]).json()["upstream"] == NEAR


@pytest.mark.parametrize("within", ["as", "EU", " ", "fr"])
@pytest.mark.parametrize("workspace", ["acme", "strict"])
def test_a_token_bound_to_what_is_not_offered_goes_nowhere(
    cold: Cold, workspace: str, within: object
) -> None:
    with cold.upstreams.watch() as seen:
        answer = _bound(cold, f"/{workspace}/models/free", within)
    assert (answer.status, seen) == (403, [])
    assert answer.code == "RESIDENCY_NOT_OFFERED"


def test_a_token_that_is_bound_is_refused_where_nobody_could_keep_to_it(cold: Cold) -> None:
    with cold.upstreams.watch() as seen:
        answer = _bound(cold, "/acme/models/silent", "eu")
    assert (answer.status, answer.code, seen) == (403, "RESIDENCY_NOT_OFFERED", [])


def test_who_is_bound_to_nothing_gets_in_unless_the_workspace_requires_it(cold: Cold) -> None:
    assert _bound(cold, "/acme/models/free", None).json()["upstream"] == NEAR
    with cold.upstreams.watch() as seen:
        answer = _bound(cold, "/strict/models/free", None)
    assert (answer.status, answer.code, seen) == (403, "FORBIDDEN", [])


@pytest.mark.parametrize("workspace", ["acme", "strict"])
@pytest.mark.parametrize(
    "tenant",
    [
        *({"residency": each} for each in ("", None, ["eu"], {"eu": True}, 1, True, False, 0)),
        *("eu", ["residency"]),
    ],
)
def test_a_claim_that_says_nothing_opens_nothing(cold: Cold, workspace: str, tenant: object) -> None:
    token = FENCED.token("acme", "strict", tenant=tenant)
    with cold.upstreams.watch() as seen:
        answer = ask(cold.port, f"/{workspace}/models/free", headers=bearer(token))
    assert (answer.status, answer.code, seen) == (403, "FORBIDDEN", [])


def test_explain_says_what_a_request_gets(cold: Cold, seed: str) -> None:
    """Drawn at random: a model, what the headers say, and what the token is bound to."""
    chance, graph = random.Random(seed), read(cold.folder).graph
    residencies = [None, None, "eu", "na", "as", "country:de", "country:fr", f"location:{VIRGINIA}"]
    hints = [None, PARIS, FRANKFURT, VIRGINIA, "nowhere"]
    bonds = [None, None, "eu", "na", "country:de", ""]
    models = ["acme/models/free", "acme/models/bound", "acme/models/silent", "acme/models/standby"]
    models.append("acme/models/free?environment=staging")
    outcomes = set()
    for _ in range(120):
        path = "/" + chance.choice([*models, "strict/models/free"])
        said = {RESIDENCY: chance.choice(residencies), HINT: chance.choice(hints)}
        headers = {name: each for name, each in said.items() if each is not None}
        bond = chance.choice(bonds)
        claims = FENCED.claims("acme", "strict", **({} if bond is None else {"tenant": {"residency": bond}}))
        told = explain(graph, path, region=PARIS, claims=claims, headers=headers)
        answer = ask(cold.port, path, headers=[*bearer(FENCED.sign(claims)), *headers.items()])
        served = PLACES[answer.json()["upstream"]] if answer.status == 200 else answer.code
        expected = told.refusal.code if told.refusal is not None else told.shares[0].hops[0].place
        assert served == expected, (path, headers, bond)
        outcomes.add(served)
    assert outcomes >= {
        PARIS,
        FRANKFURT,
        VIRGINIA,
        "RESIDENCY_NOT_OFFERED",
        "FORBIDDEN",
        "UPSTREAM_UNAVAILABLE",
    }
