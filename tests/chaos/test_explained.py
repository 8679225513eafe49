"""What `explain` says a request gets, at any Envoy, is what it gets: URLs, claims, headers and regions at random."""

from __future__ import annotations

import os
import random
from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.chaos.chance import is_likely
from tests.chaos.fleet import (
    CLAIM,
    DUBLIN,
    EAGER,
    FRANKFURT,
    GATEWAYS,
    PARIS,
    REGIONS,
    TOKYO,
    VIRGINIA,
    Fleet,
)
from tests.e2e.manifest import manifest, write
from tests.e2e.wire import Answer, bearer
from tests.golden.folder import read
from xds_server.graph import Builder, Decision, Graph, explain
from xds_server.policy import load

pytestmark = pytest.mark.envoy

_SAMPLES = 900
_RESIDENCY, _HINT, _USE = "x-fairlead-residency", "x-fairlead-location-hint", "x-fairlead-use-revision"
_TESTERS = {"claims": [{"claim": "role", "anyOf": ["tester"]}]}

_WORKSPACES = ["acme"] * 30 + ["other", "nowhere", "ACME"]
_KINDS = ["models"] * 30 + ["agents", "Models"]
_MODELS = ["told-split", "told-tested", "told-choice", "told-fenced"] * 5 + ["told-off", "none"]
_RESTS = [
    "",
    "",
    "",
    "/",
    "/v1/chat",
    "/a%20b//c",
    "/x/../y",
    "/x/../../told-split",
    "/%2e%2e/told-split",
    "/a%2fb",
]
_QUERIES = ["environment=production"] * 2 + [
    "environment=development",
    "environment=staging",
    "environment=%64evelopment",
    "%65nvironment=development",
    "environment=",
    "environment=production&environment=development",
    "a=%2F&b",
    "revision=v1",
    "revision=v3",
    "revision=v9",
    "revision=%76%31",
    "%72evision=v1",
    "revision=v1&revision=v2",
]
_CLAIMS: list[dict[str, Any]] = [
    *({"workspaces": ["acme"]},) * 12,
    *({"workspaces": ["acme"], "role": "tester"},) * 12,
    {"workspaces": ["acme"], "role": "guest"},
    {"workspaces": ["other"]},
    {"workspaces": []},
    {"workspaces": None},
    *(
        {"workspaces": ["acme"], CLAIM: within}
        for within in ("eu", "country:us", "location:eu-west-1", "sa", "", 7)
    ),
    {"workspaces": ["acme"], CLAIM: "eu", "role": "tester"},
]
_SAID: list[dict[str, str]] = [
    *({},) * 12,
    *({_RESIDENCY: within} for within in ("eu", "na", "country:de", "sa", "EU")),
    *({_HINT: place} for place in (FRANKFURT, VIRGINIA, "nowhere")),
    {_RESIDENCY: "eu", _HINT: DUBLIN},
    *({_USE: name} for name in ("v1", "v3", "v9", "v1,v2")),
]


@dataclass(frozen=True)
class Sample:
    """A request, drawn at random."""

    gateway: str
    url: str
    claims: Mapping[str, Any]
    headers: Mapping[str, str]
    method: str

    @classmethod
    def draw(cls, chance: random.Random, fleet: Fleet) -> Sample:
        base = "/".join(("", chance.choice(_WORKSPACES), chance.choice(_KINDS), chance.choice(_MODELS)))
        query = "&".join(chance.sample(_QUERIES, chance.choice([0, 0, 1, 1, 1, 2])))
        return cls(
            chance.choice(GATEWAYS),
            base + chance.choice(_RESTS) + (f"?{query}" if query else ""),
            fleet.issuer.claims(**chance.choice(_CLAIMS)),
            chance.choice(_SAID),
            chance.choice(["GET", "POST"]),
        )

    def explain(self, graph: Graph) -> Decision:
        return explain(
            graph,
            self.url,
            region=REGIONS[self.gateway],
            claims=self.claims,
            method=self.method,
            headers=self.headers,
        )

    def ask(self, fleet: Fleet) -> Answer:
        headers = [*bearer(fleet.issuer.sign(self.claims)), *self.headers.items()]
        with fleet.connect(self.gateway) as wire:
            return wire.ask(self.url, self.method, headers)


@dataclass
class Shares:
    """How often each revision was met, and how often it should have been, by what `explain` says."""

    met: Counter[str] = field(default_factory=Counter)
    expected: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def add(self, decision: Decision, revision: str) -> None:
        self.met[revision] += 1
        for share in decision.shares:
            self.expected[share.revision] += share.percent / 100

    def check(self) -> None:
        for revision, expected in self.expected.items():
            assert is_likely(self.met[revision], self.met.total(), expected), (revision, self)


def _write(fleet: Fleet) -> None:
    """A split; one with a revision for testers; one where callers have a choice; one that policy binds; one off."""
    make, deploy = fleet.revision, fleet.deployment
    everywhere = (PARIS, FRANKFURT, DUBLIN, VIRGINIA, TOKYO)
    split = [make("v1", PARIS, VIRGINIA, weight=70), make("v2", TOKYO, DUBLIN, weight=30)]
    idle = make("v3", FRANKFURT, weight=0)
    choice = {"callerChoice": True}
    develop = {"environment": "development", "revisions": [make("v1", FRANKFURT)]}
    models = {
        "told-split": [deploy(*split, idle), {**develop, "routing": choice}],
        "told-tested": [deploy(*split, idle, testers=_TESTERS), develop],
        "told-choice": [
            deploy(make("v1", *everywhere, weight=60), make("v2", *everywhere, weight=40), routing=choice)
        ],
        "told-fenced": [
            deploy(make("v1", *everywhere), routing=choice, policies=["europe"], testers=_TESTERS)
        ],
        "told-off": [deploy(make("v1", *everywhere), enabled=False)],
    }
    fleet.save(
        lambda: write(
            fleet.folder,
            "acme/told.yaml",
            [manifest("Model", name, "acme", deployments=each) for name, each in models.items()],
        )
    )
    for name in models.keys() - {"told-off"}:
        fleet.wait_for_routes(name, *EAGER)


def test_every_envoy_answers_as_explain_says(fleet: Fleet) -> None:
    seed = os.environ.get("FAIRLEAD_TEST_SEED", "1")
    chance = random.Random(seed)
    _write(fleet)
    built = Builder().build(load(*read(fleet.folder)))
    assert not built.errors
    shares: dict[tuple[str | None, str | None, str | None], Shares] = defaultdict(Shares)
    outcomes: Counter[str] = Counter()
    for _ in range(_SAMPLES):
        sample = Sample.draw(chance, fleet)
        told = sample.explain(built.graph)
        before = fleet.mark()
        answer = sample.ask(fleet)
        where = f"seed {seed}: {sample}\n{told}\n{answer}"
        if told.refusal is not None:
            assert (answer.status, answer.code) == (told.refusal.status, told.refusal.code), where
            assert fleet.mark() == before, where
            outcomes[told.refusal.code] += 1
            continue
        assert answer.status == 200, where
        heard = answer.json()
        revision = _check_route(fleet, told, heard, where)
        shares[told.name, told.environment, told.revision].add(told, revision)
        outcomes[heard["model"]] += 1
    for each in shares.values():
        each.check()
    assert outcomes.keys() >= {
        *(PARIS, FRANKFURT, DUBLIN, VIRGINIA, TOKYO),
        *("BAD_REQUEST", "FORBIDDEN", "MODEL_NOT_FOUND", "DEPLOYMENT_NOT_FOUND", "RESIDENCY_NOT_OFFERED"),
        *("REVISION_FORBIDDEN", "REVISION_NOT_FOUND"),
    }, outcomes


def _check_route(fleet: Fleet, told: Decision, heard: Mapping[str, Any], where: str) -> str:
    """The model was told what `explain` tells, and stands in the first of its places; the revision it served as."""
    headers = heard["headers"]
    assert headers["x-fairlead-model"] == told.name, where
    assert headers["x-fairlead-environment"] == told.environment, where
    assert heard["target"] == told.forwarded_path, where
    revision = str(headers["x-fairlead-revision"])
    [share] = [each for each in told.shares if each.revision == revision and each.percent > 0]
    first = share.hops[0]
    assert (heard["model"], headers["x-fairlead-region"]) == (first.place, first.region), where
    assert f"http://{fleet.models[first.place].address}" in [address for address, _ in first.addresses], where
    return revision
