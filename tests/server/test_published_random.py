"""Policy sets and publications edited at random: following gives what starting anew gives, and so does going on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.graph import world as w
from tests.server.publishing import policy
from tests.server.recollecting import go_on
from tests.server.test_incremental import PARIS
from tests.server.test_incremental_random import OWNERS, Edits, Followed, contents, told
from xds_server.compiler import Compiler
from xds_server.graph import Built, Endpoint
from xds_server.policy import LoadCache, LocationPolicy, load, read_publication

STEPS = 20
URL = "https://governance.example.com/policies.yaml"
EU, FR, NA = ("continent", "eu"), ("country", "fr"), ("continent", "na")
ATTACHED = [(), ("europe",), ("governance/europe",), ("europe", "governance/europe"), ("governance/more",)]


class RemoteEdits(Edits):
    """Edits, of what a source publishes and who attaches it too."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.files["source.yaml"] = w.write(w.manifest("PolicySource", "governance", {"url": URL}))
        self.publish()

    def edit(self) -> None:
        if self.random.random() < 0.5:
            self.random.choice([self.publish] * 5 + [self.withdraw, self.declare])()
        else:
            super().edit()

    def publish(self) -> None:
        """Another document; sometimes one that lacks a policy, or is no good."""
        places = self.random.choice([(EU,), (FR,), (EU, NA), (("location", "lyon"), EU)])
        more = self.random.choice(["", "---\n" + policy("more", EU, NA), "---\n" + policy("more", NA)])
        text = self.random.choice([policy("europe", *places) + more] * 8 + [policy("more", EU), "spec: ["])
        self.attachments[URL] = text.encode()

    def withdraw(self) -> None:
        self.attachments.pop(URL, None)

    def declare(self) -> None:
        every = self.random.choice(["60s", "30s"])
        source = w.manifest("PolicySource", "governance", {"url": URL, "every": every})
        self.files["source.yaml"] = w.write(source)
        if URL not in self.attachments:
            self.publish()

    def mend(self) -> None:
        super().mend()
        self.declare()
        self.attachments[URL] = (policy("europe", EU, NA) + "---\n" + policy("more", EU, NA)).encode()

    def model(self, name: str) -> w.Manifest:
        made = super().model(name)
        for each in made["spec"]["deployments"]:
            each["policies"] = list(self.random.choice(ATTACHED))
        return made

    def bind(self) -> None:
        super().bind()
        owner = self.random.choice(OWNERS)
        if self.random.random() < 0.3:
            environment = w.environment("development", "governance/europe", within=owner)
            self.files[f"x-{owner}.yaml"] = w.write(environment)


def within(endpoint: Endpoint, document: bytes) -> bool:
    """Whether no backend lies where what is published today would not have it."""
    policies = {name: set(places) for name, places in _read(document).items()}
    for deployment in endpoint.deployments:
        for attachment in deployment.placement.attachments:
            names = [each.policy for each in attachment.allowances if each.policy.startswith("governance/")]
            named = [policies.get(name.partition("/")[2]) for name in names]
            if not named or None in named:
                continue
            allowed = set[tuple[str, str]]().union(*(each for each in named if each is not None))
            for revision in deployment.revisions:
                for backend in revision.backends:
                    place = backend.place
                    keys = {
                        ("continent", place.continent),
                        ("country", place.country),
                        ("location", place.name),
                    }
                    if not keys & allowed:
                        return False
    return True


def _read(document: bytes) -> dict[str, list[tuple[str, str]]]:
    publication = read_publication(URL, document)
    if publication.error is not None:
        return {}
    return {
        name: [(place.type, place.name) for place in each.spec.locations]
        for name, each in publication.policies.items()
        if isinstance(each.spec, LocationPolicy)
    }


@pytest.mark.parametrize("seed", range(4))
def test_what_follows_changes_is_what_starts_anew(seed: int) -> None:
    edits, cache, followed, compiler = RemoteEdits(seed), LoadCache(), Followed(), Compiler(w.ROOTS)
    served: Built | None = None
    good = bound = 0
    for step in range(STEPS):
        edits.edit()
        held = dict(edits.attachments)  # what is handed over is never changed
        loaded, anew = load(edits.files, held, cache), load(edits.files, held)
        assert told(loaded) == told(anew), step
        built = followed.build(loaded, anew)
        if served is not None and edits.random.random() < 0.2:
            followed.go_back(served)
            built = followed.build(loaded, anew)
        if not built.servable:
            continue
        served, good = built, good + (not built.errors)
        view, scratch = (each.compile(built.graph).view(PARIS) for each in (compiler, Compiler(w.ROOTS)))
        assert view is not None
        assert scratch is not None
        assert contents(view) == contents(scratch), step
        if "governance" in built.graph.publishers and URL in edits.attachments:
            bound += 1
            assert all(within(each, edits.attachments[URL]) for each in built.graph.endpoints.values()), step
    assert good >= STEPS // 8, "too few policy sets without an error to say anything"
    assert bound >= STEPS // 4, "too few in which something is published"


@pytest.mark.parametrize("seed", range(4))
def test_going_on_is_what_a_start_from_the_records_is(seed: int, tmp_path: Path) -> None:
    go_on(RemoteEdits(seed), tmp_path)
