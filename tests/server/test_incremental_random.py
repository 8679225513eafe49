"""Following changes gives what starting anew gives: policy sets edited at random, compared step by step."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping

import pytest

from tests.graph import world as w
from tests.server.test_incremental import PARIS
from xds_server.compiler import Compiler
from xds_server.graph import NOTHING, Builder, Built, Graph, Hold, find_loss
from xds_server.policy import DEVELOPMENT_JWKS, LoadCache, Loaded, load
from xds_server.shards import Shards
from xds_server.snapshot import View, diff

STEPS = 30
NAMES = [f"m{number}" for number in range(6)]
OWNERS = ["acme", "beta", "gamma"]
LYON = w.location("lyon")


class Edits:
    """A policy set that changes at random, mostly into something good."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.files = {"fleet.yaml": w.write(*w.FLEET, LYON)}
        self.files |= {f"{owner}.yaml": w.write(w.workspace(owner)) for owner in OWNERS}
        self.attachments: dict[str, bytes] = {DEVELOPMENT_JWKS: w.JWKS}

    def edit(self) -> None:
        for _ in range(self.random.choice([1, 1, 1, 2, 5])):
            self.random.choice(
                [self.save] * 6
                + [self.mend] * 2
                + [self.bind, self.bind, self.delete, self.move, self.spoil, self.trust]
            )()

    def save(self) -> None:
        at = self.random.randrange(len(NAMES))
        names = [NAMES[at]] if self.random.random() < 0.85 else self.random.choices(NAMES, k=2)
        self.files[f"{NAMES[at]}.yaml"] = w.write(*(self.model(name) for name in names))

    def model(self, name: str) -> w.Manifest:
        pick = self.random.choice
        revisions = [
            w.revision(
                f"v{number}", w.backend(pick(["eu-west-3", "us-east-1", "lyon"]), "10.0.0.1:80"), weight=1
            )
            for number in range(pick([1, 1, 2]))
        ]
        policies = pick([(), (), ("europe",)])
        deployed = w.deployment(*revisions, to=pick(["production", "development"]), policies=policies)
        return w.model(name, deployed, within=pick(OWNERS), kind=pick(["Model", "Model", "Agent"]))

    def bind(self) -> None:
        owner = self.random.choice(OWNERS)
        allowed = self.random.choice([("continent", "eu"), ("country", "fr"), ("continent", "na")])
        bound = [w.environment("production", "europe", within=owner)] if self.random.random() < 0.3 else []
        self.files[f"{owner}.yaml"] = w.write(
            w.workspace(owner), w.places("europe", allowed, ("location", "lyon"), within=owner), *bound
        )

    def trust(self) -> None:
        issuers = self.random.choice(
            [[w.issuer()], [w.issuer(), w.issuer("other", issuer="https://other.test")]]
        )
        places = [LYON] if self.random.random() < 0.8 else []
        self.files["fleet.yaml"] = w.write(
            w.gateway(port=self.random.choice([10000, 10001])), *issuers, *places
        )

    def mend(self) -> None:
        """Everything good again, in the files where it was."""
        self.files = {file: text for file, text in self.files.items() if file[0] not in "mt"}
        for owner in OWNERS:
            self.files[f"{owner}.yaml"] = w.write(
                w.workspace(owner), w.places("europe", ("continent", "eu"), ("continent", "na"), within=owner)
            )
        self.files["fleet.yaml"] = w.write(*w.FLEET, LYON)
        for name in NAMES:
            self.files[f"{name}.yaml"] = w.write(self.model(name))

    def attach(self) -> None:
        """Write a certificate, or delete it, and perhaps what refers to it in the same step."""
        if self.attachments.pop("ca.pem", None) is None:
            self.attachments["ca.pem"] = w.ROOTS.encode()
        if self.random.random() < 0.5:
            backend = w.backend("eu-west-3", "https://x.test:443", tls={"ca": "ca.pem"})
            tls = w.model("tls", w.deployment(w.revision("v1", backend)))
            self.files["tls.yaml"] = w.write(self.random.choice([tls, w.model("tls")]))
        elif self.random.random() < 0.5:
            self.files.pop("tls.yaml", None)

    def delete(self) -> None:
        self.files.pop(self.random.choice([file for file in self.files if file != "fleet.yaml"]))

    def move(self) -> None:
        file = self.random.choice(list(self.files))
        self.files[file] = "# a line more\n" * self.random.randrange(3) + "---\n" + self.files[file]

    def spoil(self) -> None:
        file = self.random.choice(list(self.files))
        self.files[file] = self.files[file].replace("spec", self.random.choice(["spek", "spec"]), 1)


def told(loaded: Loaded) -> tuple[object, ...]:
    broken = sorted((each.title, str(each.origin)) for each in loaded.broken)
    return loaded.manifests, [str(each.origin) for each in loaded.manifests], loaded.diagnostics, broken


def contents(view: View) -> Mapping[tuple[str, str], str]:
    return {(r.type_url, r.name): r.version for url in view.types() for r in view.resources(url)}


def changes(before: View, after: View) -> tuple[object, object]:
    """What the difference says, and what a look at everything finds."""
    old, new = contents(before), contents(after)
    found = diff(before, after)
    said = {(url, name) for url in found.types() for name in found.names(url)}
    return said, {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}


def grounds(built: Built) -> Mapping[object, object]:
    """What each part is made of, without where that stands."""
    return {owner: sorted(each.roster, key=lambda m: str(m.key)) for owner, each in built.grounds.items()}


class Followed:
    """A builder that follows changes, and beside it one that starts anew from the same last good state."""

    def __init__(self) -> None:
        self.builder = Builder()
        self.last: Built | None = None

    def build(self, followed: Loaded, anew: Loaded, hold: Hold = NOTHING) -> Built:
        """Build with both, which must come to the same."""
        fresh = Builder()
        if self.last is not None:
            fresh.resume(self.last.graph, self.last.grounds)
        built, expected = self.builder.build(followed, hold), fresh.build(anew, hold)
        assert built.graph == expected.graph
        assert built.graph.clusters == expected.graph.clusters
        assert built.diagnostics == expected.diagnostics
        assert built.kept == expected.kept
        assert grounds(built) == grounds(expected)
        self.last = built
        return built

    def go_back(self, to: Built) -> None:
        """Rewind, as after a run that could not be published, or whose changes are held."""
        self.builder.resume(to.graph, to.grounds)
        self.last = to


@pytest.mark.parametrize("seed", range(4))
def test_what_follows_changes_is_what_starts_anew(seed: int) -> None:
    edits, cache, followed, compiler = Edits(seed), LoadCache(), Followed(), Compiler(w.ROOTS)
    views: list[View] = []
    served: Built | None = None
    good = 0
    for step in range(STEPS):
        edits.edit()
        loaded, anew = load(edits.files, edits.attachments, cache), load(edits.files, edits.attachments)
        assert told(loaded) == told(anew), step
        built = followed.build(loaded, anew)
        good += not built.errors
        if served is not None:
            assert find_loss(alone(served), alone(built)) == find_loss(served.graph, built.graph)
            if edits.random.random() < 0.2:
                followed.go_back(served)
                held = edits.random.choice(
                    [NOTHING, Hold(frozenset({"acme"})), Hold(frozenset({"beta"}), True)]
                )
                built = followed.build(loaded, anew, held)
        if not built.servable:
            continue
        served = built
        view, scratch = (each.compile(built.graph).view(PARIS) for each in (compiler, Compiler(w.ROOTS)))
        assert view is not None
        assert scratch is not None
        assert contents(view) == contents(scratch), step
        views.append(view)
    for before, after in itertools.pairwise(views):
        said, found = changes(before, after)
        assert said == found
    assert good >= STEPS // 8, "too few policy sets without an error to say anything"


def alone(built: Built) -> Graph:
    """The graph, sharing nothing with those before it."""
    graph = built.graph
    return Graph(graph.places, graph.edges, graph.authorities, Shards({**graph.tenants}))
