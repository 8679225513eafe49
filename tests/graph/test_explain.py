"""The decision on a request, told from the graph."""

from __future__ import annotations

from typing import Any

import pytest

from tests.graph import world as w
from xds_server.graph import Decision, Graph, explain

LLAMA = "/acme/models/llama"
MEMBER = {"iss": w.ISSUER, "aud": "fairlead", "workspaces": ["acme"]}


@pytest.fixture(scope="module")
def graph() -> Graph:
    eu = w.places("eu-only", ("continent", "eu"))
    west = w.places("west", ("country", "fr"), ("country", "ie"), ("country", "us"))
    return w.build_graph(
        w.gateway(),
        w.issuer("dev"),
        w.issuer("partner", issuer="https://partner.example", workspacesClaim=["realm", "workspaces"]),
        w.workspace("acme"),
        w.workspace("globex", "partner", defaultEnvironment="development"),
        eu,
        west,
        w.environment("production", "eu-only"),
        w.environment("staging"),
        w.model(
            "llama",
            w.deployment(
                w.revision(
                    "v1",
                    w.backend("us-east-1", "10.0.0.1:80"),
                    w.backend("eu-west-1", "10.0.0.2:80"),
                    w.backend("eu-west-3", "10.0.0.3:80", weight=2),
                    w.backend("eu-central-1", "10.0.0.4:80"),
                    w.backend("eu-west-3", "10.0.0.5:80", weight=0),
                    weight=3,
                ),
                w.revision("v2", w.backend("eu-west-1", "10.0.1.1:80", standby=True), weight=1),
                w.revision("v3", w.backend("eu-west-1", "10.0.2.1:80"), weight=0),
                policies=("west",),
            ),
            w.deployment(w.revision("dev", w.backend("us-east-1", "10.0.3.1:80")), to="development"),
            w.deployment(w.revision("off", w.backend("us-east-1")), to="staging", enabled=False),
        ),
        w.model(
            "closed",
            access={"claims": [{"claim": "role", "anyOf": ["admin"]}, {"claim": ["a", "b"], "anyOf": ["x"]}]},
        ),
        w.model("nobody", access={"claims": [{"claim": "role", "anyOf": []}]}),
        w.model("llama", kind="Agent"),
        w.model("off", enabled=False),
        w.model(
            "llama", w.deployment(w.revision("g", w.backend("eu-west-3")), to="development"), within="globex"
        ),
    )


def ask(graph: Graph, url: str, region: str = "eu-west-3", **more: Any) -> Decision:
    return explain(graph, url, region=region, **more)


def answer(decision: Decision) -> tuple[int, str] | None:
    return None if decision.refusal is None else (decision.refusal.status, decision.refusal.code)


class TestEnvironment:
    @pytest.mark.parametrize(
        ("query", "environment", "source"),
        [
            ("", "production", "the workspace's default"),
            ("?environment=production", "production", "the query"),
            ("?environment=development", "development", "the query"),
            ("?a=1&environment=development&b=2", "development", "the query"),
            ("?environments=development", "production", "the workspace's default"),
            ("?xenvironment=development", "production", "the workspace's default"),
            ("?Environment=development", "production", "the workspace's default"),
        ],
    )
    def test_is_the_one_named_or_the_default(
        self, graph: Graph, query: str, environment: str, source: str
    ) -> None:
        decision = ask(graph, LLAMA + query)
        assert answer(decision) is None
        assert (decision.environment, decision.environment_from) == (environment, source)
        assert {share.cluster[0] for share in decision.shares} == {environment}

    @pytest.mark.parametrize(
        "query",
        [
            "?environment=staging",  # declared, and the deployment is switched off
            "?environment=nowhere",
            "?environment=",
            "?environment",
            "?environment=%64evelopment",  # compared as it is written
            "?environment=Production",
            "?environment=production/",
        ],
    )
    def test_not_deployed_is_never_another(self, graph: Graph, query: str) -> None:
        decision = ask(graph, LLAMA + query)
        assert answer(decision) == (404, "DEPLOYMENT_NOT_FOUND")
        assert decision.shares == ()

    @pytest.mark.parametrize(
        "query",
        [
            "?environment=production&environment=development",
            "?environment=production&environment=production",
            "?environment&environment",
            "?%65nvironment=development",
            "?e%6Evironment=development",
            "?environment=production&%65nvironmen%74=development",
        ],
    )
    def test_that_can_be_read_in_two_ways_is_refused(self, graph: Graph, query: str) -> None:
        assert answer(ask(graph, LLAMA + query)) == (400, "BAD_REQUEST")

    @pytest.mark.parametrize("query", ["?x=%65nvironment", "?q=environment&r=environment", "?%20a=1"])
    def test_values_may_hold_the_word(self, graph: Graph, query: str) -> None:
        assert answer(ask(graph, LLAMA + query)) is None

    def test_default_is_the_workspaces_own(self, graph: Graph) -> None:
        assert ask(graph, "/globex/models/llama").environment == "development"

    def test_default_without_a_deployment_is_404(self, graph: Graph) -> None:
        only = w.model("llama", w.deployment(w.revision("v1", w.backend("eu-west-3")), to="development"))
        found = ask(w.build_graph(*w.FLEET, w.workspace(), only), LLAMA)
        assert answer(found) == (404, "DEPLOYMENT_NOT_FOUND")


class TestEndpoint:
    @pytest.mark.parametrize(
        "path",
        [
            "/acme/models/mistral",
            "/acme/models/off",
            "/acme/functions/llama",
            "/acme/models",
            "/acme",
            "/",
            "/ghost/models/llama",
            "/acme/models/Llama",
            "/acme/models/llama.",
        ],
    )
    def test_unknown_is_404(self, graph: Graph, path: str) -> None:
        assert answer(ask(graph, path)) == (404, "MODEL_NOT_FOUND")

    @pytest.mark.parametrize(
        ("url", "forwarded"),
        [
            (LLAMA, "/"),
            (LLAMA + "/", "/"),
            (LLAMA + "/v1/chat", "/v1/chat"),
            (LLAMA + "/v1/a%20b?x=%2F&y", "/v1/a%20b?x=%2F&y"),
            (
                "https://run.example.com" + LLAMA + "/v1?environment=development",
                "/v1?environment=development",
            ),
            ("//acme//models/llama//v1", "/v1"),
            ("/x/../acme/models/llama", "/"),
        ],
    )
    def test_what_the_model_is_asked_for(self, graph: Graph, url: str, forwarded: str) -> None:
        url = "https://run.example.com" + url if url.startswith("//") else url
        decision = ask(graph, url)
        assert answer(decision) is None
        assert (decision.forwarded_path, decision.kind, decision.name) == (forwarded, "models", "llama")

    def test_kinds_have_their_own_names(self, graph: Graph) -> None:
        agent = ask(graph, "/acme/agents/llama")
        assert answer(agent) is None
        assert agent.origin != ask(graph, LLAMA).origin

    @pytest.mark.parametrize(
        "url", ["/acme%2Fmodels/llama", "/acme/models/llama%5c", "/acme/models/llama%00"]
    )
    def test_a_path_that_envoy_refuses_is_400(self, graph: Graph, url: str) -> None:
        assert answer(ask(graph, url)) == (400, "BAD_REQUEST")

    def test_a_gateway_may_keep_escaped_slashes(self, graph: Graph) -> None:
        decision = ask(graph, LLAMA + "/a%2Fb", keep_escaped_slashes=True)
        assert (answer(decision), decision.forwarded_path) == (None, "/a%2Fb")

    def test_where_it_is_declared_is_told(self, graph: Graph) -> None:
        origin = ask(graph, LLAMA).origin
        assert origin is not None
        assert origin.startswith("all.yaml:")


class TestAccess:
    def test_is_not_judged_without_claims(self, graph: Graph) -> None:
        decision = ask(graph, "/acme/models/nobody")
        assert (answer(decision), decision.access) == (None, "not checked: no claims were given")

    def test_a_member_may_call(self, graph: Graph) -> None:
        decision = ask(graph, LLAMA, claims=MEMBER)
        assert (answer(decision), decision.access) == (None, "allowed")

    @pytest.mark.parametrize(
        "claims",
        [
            {},
            {**MEMBER, "iss": "https://else.example"},
            {**MEMBER, "iss": None},
            {**MEMBER, "aud": "other"},
            {**MEMBER, "aud": []},
        ],
    )
    def test_of_no_declared_issuer_or_audience_is_401(self, graph: Graph, claims: dict[str, Any]) -> None:
        assert answer(ask(graph, LLAMA, claims=claims)) == (401, "AUTHENTICATION_FAILED")

    @pytest.mark.parametrize("audience", ["fairlead", ["other", "fairlead"]])
    def test_one_audience_of_several_is_enough(self, graph: Graph, audience: Any) -> None:
        assert answer(ask(graph, LLAMA, claims={**MEMBER, "aud": audience})) is None

    @pytest.mark.parametrize(
        "listed", [[], ["globex"], "acme", {"acme": False}, {"acme": True}, None, True, [["acme"]]]
    )
    def test_only_a_list_makes_a_member(self, graph: Graph, listed: Any) -> None:
        decision = ask(graph, LLAMA, claims={**MEMBER, "workspaces": listed})
        assert (answer(decision), decision.access) == ((403, "FORBIDDEN"), "denied")

    @pytest.mark.parametrize("path", ["/globex/models/llama", "/ghost/models/llama"])
    def test_foreign_and_unknown_workspaces_are_answered_alike(self, graph: Graph, path: str) -> None:
        decision = ask(graph, path, claims=MEMBER)
        assert (answer(decision), decision.origin) == ((403, "FORBIDDEN"), None)

    def test_an_issuer_that_the_workspace_does_not_trust_opens_nothing(self, graph: Graph) -> None:
        partner = {"iss": "https://partner.example", "realm": {"workspaces": ["acme", "globex"]}}
        assert answer(ask(graph, LLAMA, claims=partner)) == (403, "FORBIDDEN")
        assert answer(ask(graph, "/globex/models/llama", claims=partner)) is None
        flat = {"iss": "https://partner.example", "workspaces": ["globex"]}
        assert answer(ask(graph, "/globex/models/llama", claims=flat)) == (403, "FORBIDDEN")

    @pytest.mark.parametrize(
        ("more", "allowed"),
        [
            ({"role": "admin", "a": {"b": "x"}}, True),
            ({"role": ["member", "admin"], "a": {"b": ["x", "y"]}}, True),
            ({"role": "admin"}, False),
            ({"role": "admin", "a": "x"}, False),
            ({"role": "member", "a": {"b": "x"}}, False),
            ({"role": {"admin": True}, "a": {"b": "x"}}, False),
            ({"a": {"b": "x"}}, False),
        ],
    )
    def test_all_rules_must_hold(self, graph: Graph, more: dict[str, Any], allowed: bool) -> None:
        decision = ask(graph, "/acme/models/closed", claims={**MEMBER, **more})
        assert (answer(decision) is None) is allowed
        assert decision.access == ("allowed" if allowed else "denied")

    def test_an_empty_rule_lets_nobody_in(self, graph: Graph) -> None:
        claims = {**MEMBER, "role": ["admin", "", "member"]}
        assert answer(ask(graph, "/acme/models/nobody", claims=claims)) == (403, "FORBIDDEN")

    def test_comes_before_what_exists(self, graph: Graph) -> None:
        assert answer(ask(graph, "/acme/models/mistral", claims={})) == (401, "AUTHENTICATION_FAILED")
        assert answer(ask(graph, "/globex/models/mistral", claims=MEMBER)) == (403, "FORBIDDEN")
        assert answer(ask(graph, "/acme/models/mistral", claims=MEMBER)) == (404, "MODEL_NOT_FOUND")


class TestPlaces:
    def test_shares_follow_weights(self, graph: Graph) -> None:
        shares = ask(graph, LLAMA).shares
        assert [(each.revision, each.weight, each.percent) for each in shares] == [
            ("v1", 3, 75.0),
            ("v2", 1, 25.0),
            ("v3", 0, 0.0),
        ]

    @pytest.mark.parametrize(
        ("region", "order"),
        [
            ("eu-west-3", ["eu-west-3", "eu-west-1"]),
            ("eu-west-1", ["eu-west-1", "eu-west-3"]),
            ("us-east-1", ["eu-west-1", "eu-west-3"]),
        ],
    )
    def test_order_is_that_of_the_region(self, graph: Graph, region: str, order: list[str]) -> None:
        hops = ask(graph, LLAMA, region).shares[0].hops
        assert [(hop.priority, hop.place) for hop in hops] == list(enumerate(order))
        distances = [hop.distance_km for hop in hops]
        assert None not in distances
        assert distances == sorted(distances)  # type: ignore[type-var]
        assert (hops[0].distance_km == 0) is (region == order[0])

    def test_an_unknown_region_orders_by_name_and_says_so(self, graph: Graph) -> None:
        decision = ask(graph, LLAMA, "atlantis")
        assert [hop.place for hop in decision.shares[0].hops] == ["eu-west-1", "eu-west-3"]
        assert [hop.distance_km for hop in decision.shares[0].hops] == [None, None]
        assert "atlantis" in decision.notes[0]
        assert ask(graph, LLAMA).notes == ()

    def test_standbys_and_addresses_are_told(self, graph: Graph) -> None:
        first, second, _ = ask(graph, LLAMA).shares
        assert first.hops[0].addresses == (("http://10.0.0.3:80", 2),)
        assert [hop.standby for hop in first.hops] == [False, False]
        assert [hop.standby for hop in second.hops] == [True]

    def test_every_place_that_is_out_has_its_reasons(self, graph: Graph) -> None:
        excluded = {each.address: each for each in ask(graph, LLAMA).shares[0].excluded}
        assert excluded.keys() == {"http://10.0.0.1:80", "http://10.0.0.4:80", "http://10.0.0.5:80"}
        [abroad] = excluded["http://10.0.0.1:80"].removals
        assert (abroad.point, abroad.aspect) == ("environment production", "location")
        [policy] = abroad.policies
        assert policy.policy == "eu-only"
        [elsewhere] = excluded["http://10.0.0.4:80"].removals
        assert (elsewhere.point, [each.policy for each in elsewhere.policies]) == ("the deployment", ["west"])
        resting = excluded["http://10.0.0.5:80"]
        assert (resting.removals, resting.out_of_split) == ((), True)

    def test_reasons_name_the_line_of_the_policy(self, graph: Graph) -> None:
        policy = w.places("eu-only", ("continent", "eu"))
        bound = w.model(
            "llama",
            w.deployment(
                w.revision("v1", w.backend("us-east-1"), w.backend("eu-west-3")), policies=("eu-only",)
            ),
        )
        world = w.World()
        built = world.build(
            {
                "a.yaml": w.write(*w.FLEET),
                "b.yaml": w.write(w.workspace(), bound),
                "c.yaml": f"\n\n{w.write(policy)}",
            }
        )
        [excluded] = ask(built.graph, LLAMA).shares[0].excluded
        assert str(excluded.removals[0].policies[0].origin) == "c.yaml:3"

    def test_other_environments_are_bound_by_their_own_policies(self, graph: Graph) -> None:
        [share] = ask(graph, LLAMA + "?environment=development").shares
        assert [hop.place for hop in share.hops] == ["us-east-1"]
        assert share.excluded == ()

    def test_without_a_backend_in_an_allowed_place_it_is_503(self) -> None:
        world = w.World()
        model = w.model("llama", w.deployment(w.revision("v1", w.backend("lab"))))
        files = {"f.yaml": w.write(*w.FLEET, w.location("lab")), "a.yaml": w.write(w.workspace(), model)}
        world.build(files)
        lost = world.build({"f.yaml": w.write(*w.FLEET), "a.yaml": files["a.yaml"]})
        assert lost.kept == {"acme"}
        assert answer(ask(lost.graph, LLAMA)) == (503, "UPSTREAM_UNAVAILABLE")
