"""What `explain` says a request gets is what it gets."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from tests.e2e.stack import Stack
from tests.e2e.tokens import TestIssuer
from tests.e2e.wire import Answer, ask, bearer
from tests.e2e.world import PARIS, VIRGINIA
from xds_server.graph import Decision, explain

pytestmark = pytest.mark.envoy

_SAMPLES = 150
_REGIONS = {"paris": PARIS, "virginia": VIRGINIA, "brisk": PARIS}

_WORKSPACES = ["acme"] * 6 + ["beta", "gamma", "lab", "void", "afar", "nobody", "ACME", ""]
_KINDS = ["models"] * 6 + ["agents", "functions", "Models", "model", ""]
_NAMES = ["llama"] * 4 + [
    "near",
    "standby",
    "prefixed",
    "guarded",
    "sealed",
    "disabled",
    "late",
    "none",
    "stable",
]
_RESTS = r"""
/ /v1/chat //v1 /a%20b /%41%7E/x /a/../b /../llama/x /..;/x /a;b/c /x%2fy /x%5Cy /%00 /% /a. /... /..;x/b /.;/b
/%2e%2e;/b /.%2e/llama/b /a\b /a..;/b /..%3b/b /.; /.. /. /a/..; /%2E
"""
_QUERIES = """
? ?a=1 ?environment=production ?environment=development ?environment=staging ?environment ?environment= ?a%20=1
?environment=%64evelopment ?%65nvironment=development ?a=%2F&environment=development&b ?x;environment=y
?environment=production&environment=development ?b?environment=development
"""
_ODDS = r". .. ..; %2e%2e x ..;x=1 .; %2E %2e%2e; a\.. \ "
_CLAIMS: list[dict[str, Any]] = [
    {"workspaces": ["acme", "lab", "beta"]},
    {"workspaces": ["acme"], "role": "admin", "team": {"unit": "ml"}},
    {
        "workspaces": ["acme", "gamma", "void", "afar", "nobody", "lab"],
        "role": ["owner"],
        "team": {"unit": ["ml"]},
    },
    {"workspaces": "acme"},
    {"workspaces": {"acme": True}},
    {"workspaces": ["acme"], "role": "guest"},
    {"realm": {"workspaces": ["gamma", "acme"]}},
    {"workspaces": ["acme"], "aud": "elsewhere"},
    {"workspaces": ["acme"], "aud": ["elsewhere", "fairlead"]},
]


def _draw(chance: random.Random) -> str:
    """Mostly the run endpoint's shape, now and then with odd things in the middle."""
    parts = [chance.choice(_WORKSPACES), chance.choice(_KINDS), chance.choice(_NAMES)]
    for _ in range(chance.choice([0, 0, 0, 1, 2])):
        parts.insert(chance.randint(0, 3), chance.choice(["", *_ODDS.split()]))
    return (
        "/"
        + "/".join(parts)
        + chance.choice(["", *_RESTS.split()])
        + chance.choice(["", "", *_QUERIES.split()])
    )


@pytest.mark.parametrize("gateway", _REGIONS)
def test_explain_agrees_with_the_gateway(stack: Stack, gateway: str, seed: str) -> None:
    chance = random.Random(seed)
    graph = stack.control.newest.built.graph
    outcomes = set()
    for _ in range(_SAMPLES):
        url, (issuer, claims) = _draw(chance), _draw_claims(stack, chance)
        decision = explain(
            graph,
            url,
            region=_REGIONS[gateway],
            claims=claims,
            method="GET",
            keep_escaped_slashes=gateway == "brisk",
        )
        with stack.upstreams.watch() as seen:
            answer = ask(getattr(stack.ports, gateway), url, headers=bearer(issuer.sign(claims)))
        outcomes.add(answer.status)
        where = f"seed {seed}: {url} {claims}\n{decision}\n{answer}"
        if decision.refusal is not None:
            assert (answer.status, answer.code) == (decision.refusal.status, decision.refusal.code), where
            assert seen == [], where
        else:
            assert answer.status == 200, where
            _check_route(stack, decision, answer, where)
    assert outcomes >= {200, 400, 403, 404}, outcomes


def _draw_claims(stack: Stack, chance: random.Random) -> tuple[TestIssuer, dict[str, Any]]:
    issuers = stack.issuers
    issuer = chance.choice([issuers.main] * 6 + [issuers.partner, issuers.remote, issuers.stranger])
    return issuer, issuer.claims(**chance.choice(_CLAIMS))


def _check_route(stack: Stack, decision: Decision, answer: Answer, where: str) -> None:
    told = json.loads(answer.body)
    headers = dict(told["headers"])
    assert headers["x-fairlead-workspace"] == decision.workspace, where
    assert headers["x-fairlead-model"] == decision.name, where
    assert headers["x-fairlead-environment"] == decision.environment, where
    shares = {share.revision: share for share in decision.shares if share.percent}
    first = shares[headers["x-fairlead-revision"]].hops[0]
    assert headers["x-fairlead-region"] == first.region, where
    addresses = [address.removeprefix("http://") for address, _ in first.addresses]
    assert stack.upstreams[told["upstream"]].address in addresses, where
    if decision.name != "prefixed":
        assert told["line"] == f"GET {decision.forwarded_path} HTTP/1.1", where
