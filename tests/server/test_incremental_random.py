"""Following changes gives what starting anew gives: policy sets edited at random, compared step by step."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping

import pytest

from tests.graph import world as w
from tests.server.test_incremental import PARIS
from xds_server.compiler import Compiler
from xds_server.graph import Builder, Built, Loss, find_loss
from xds_server.policy import DEVELOPMENT_JWKS, LoadCache, Loaded, load
from xds_server.snapshot import View, diff

STEPS = 40
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
        self.files = {file: text for file, text in self.files.items() if file[0] != "m"}
        for owner in OWNERS:
            self.files[f"{owner}.yaml"] = w.write(
                w.workspace(owner), w.places("europe", ("continent", "eu"), ("continent", "na"), within=owner)
            )
        self.files["fleet.yaml"] = w.write(*w.FLEET, LYON)
        for name in NAMES:
            self.files[f"{name}.yaml"] = w.write(self.model(name))

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


@pytest.mark.parametrize("seed", range(6))
def test_what_follows_changes_is_what_starts_anew(seed: int) -> None:
    edits, cache, builder, compiler = Edits(seed), LoadCache(), Builder(), Compiler(w.ROOTS)
    views: list[View] = []
    graphs: list[Built] = []
    good = 0
    for step in range(STEPS):
        edits.edit()
        followed = load(edits.files, edits.attachments, cache)
        anew = load(edits.files, edits.attachments)
        assert told(followed) == told(anew), step
        built, fresh = builder.build(followed), Builder().build(anew)
        graphs.append(built)
        if not fresh.errors:
            good += 1
            assert built.graph == fresh.graph, step
            assert not built.errors
        assert built.graph.endpoints == {
            path: each for tenant in built.graph.tenants.values() for path, each in tenant.endpoints.items()
        }
        if not built.servable:
            continue
        view = compiler.compile(built.graph).view(PARIS)
        assert view is not None
        scratch = Compiler(w.ROOTS).compile(built.graph).view(PARIS)
        assert scratch is not None
        assert contents(view) == contents(scratch), step
        views.append(view)
    for before, after in itertools.pairwise(views):
        said, found = changes(before, after)
        assert said == found
    for one, two in itertools.pairwise(graphs):
        assert clusters_lost(one, two) == find_loss(one.graph, two.graph)
    assert good >= STEPS // 8, "too few policy sets without an error to say anything"


def clusters_lost(before: Built, after: Built) -> Loss:
    """The loss as found with nothing shared between the graphs."""
    return find_loss(alone(before), alone(after))


def alone(built: Built) -> object:
    graph = built.graph
    return type(graph)(graph.places, graph.edges, graph.authorities, graph.tenants)
