"""Policy sources: what is fetched, kept, told, and what the pipeline makes of it."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import certifi
import pytest
from structlog.testing import capture_logs

from tests.e2e.manifest import put
from tests.graph import world as w
from tests.server.planes import get, until
from tests.server.publishing import Publishing, policy
from xds_server.archive import Archive, Journal
from xds_server.graph import Endpoint, Publisher
from xds_server.policy import Metadata, PolicySource, PolicySourceSpec
from xds_server.server import ControlPlane
from xds_server.server.guard import Guard
from xds_server.server.metrics import Metrics
from xds_server.server.pipeline import Pipeline
from xds_server.server.policy_sources import PolicySources
from xds_server.server.readiness import Readiness
from xds_server.server.source_watch import Outcome, SourceWatch
from xds_server.sources import FolderSource

EU, FR, NA = ("continent", "eu"), ("country", "fr"), ("continent", "na")
PLACES = ("eu-west-3", "eu-central-1", "us-east-1")


@pytest.fixture
def publisher() -> Iterator[Publishing]:
    with Publishing(policy("europe", EU)) as made:
        yield made


@pytest.fixture
def folder(tmp_path: Path, publisher: Publishing) -> Path:
    """A site: one model that attaches what is published, one of the same workspace, and one of another."""
    made = tmp_path / "policies"
    put(made / "keys.json", w.JWKS.decode())
    source = w.manifest("PolicySource", "governance", {"url": publisher.url, "every": "1s"})
    keys = w.issuer(jwks={"file": "keys.json"})
    put(made / "fleet.yaml", w.write(w.gateway(), keys, source, w.workspace(), w.workspace("beta")))
    bound = w.deployment(w.revision("v1", *map(w.backend, PLACES)), policies=("governance/europe",))
    put(made / "bound.yaml", w.write(w.model("bound", bound)))
    put(made / "free.yaml", w.write(w.model("free", w.deployment(w.revision("v1", *map(w.backend, PLACES))))))
    put(made / "beta.yaml", w.write(w.model("other", within="beta")))
    return made


@pytest.fixture
def logged() -> Iterator[list[MutableMapping[str, Any]]]:
    with capture_logs() as found:
        yield found


class Site:
    """A control plane with its pipeline and its sources."""

    def __init__(self, folder: Path, state: Path | None) -> None:
        self.plane = ControlPlane(xds_address="127.0.0.1:0", admin_address="127.0.0.1:0")
        archive = Archive(state, folder) if state is not None else None
        journal = archive.journal("policy-sources") if archive is not None else None
        self.sources = PolicySources(self.plane.metrics, self.plane.readiness, certifi.contents(), journal)
        self.plane.add_pages(self.sources.routes())
        self.pipeline = Pipeline(
            FolderSource(folder), archive=archive, guard=Guard(0.5), sources=self.sources, pause=0.0
        )

    def endpoint(self, path: str) -> Endpoint | None:
        served = self.pipeline._served
        return served.graph.endpoints.get(path) if served is not None else None

    def places(self, path: str = "acme/models/bound") -> list[str] | None:
        found = self.endpoint(path)
        if found is None:
            return None
        return [each.place.name for each in found.deployments[0].revisions[0].backends]

    @property
    def problems(self) -> dict[str, str]:
        found: dict[str, str] = self.plane.readiness.describe()["problems"]
        return found

    async def metric(self, name: str, **labels: str) -> float:
        text = (await get(self.plane, "/metrics")).text
        wanted = ",".join(f'{key}="{value}"' for key, value in sorted(labels.items()))
        [line] = [each for each in text.splitlines() if each.startswith(f"{name}{{{wanted}}}")]
        return float(line.rsplit(" ", 1)[1])


@asynccontextmanager
async def serving(folder: Path, state: Path | None) -> AsyncIterator[Site]:
    """Run a site until something is served."""
    site = Site(folder, state)
    await site.plane.start()
    running = asyncio.create_task(site.pipeline.run(site.plane))
    try:
        await until(lambda: site.plane.readiness.ready)
        yield site
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await site.plane.stop(0.5)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


async def test_what_is_published_is_there_with_the_first_catalogue(folder: Path, state: Path) -> None:
    async with serving(folder, state) as site:
        assert site.plane.readiness.generation == 2
        assert site.places() == ["eu-west-3", "eu-central-1"]
        assert site.problems == {}
        told = (await get(site.plane, "/sources")).json()["sources"]
        assert [(each["source"], each["policies"], each["problem"]) for each in told] == [
            ("governance", ["europe"], None)
        ]
        assert 0 <= await site.metric("fairlead_policy_source_age_seconds", source="governance") < 30


async def test_a_change_is_followed_and_reaches_no_other_model(
    folder: Path, state: Path, publisher: Publishing
) -> None:
    async with serving(folder, state) as site:
        before = {path: site.endpoint(path) for path in ("acme/models/free", "beta/models/other")}
        publisher.document = policy("europe", FR)
        await until(lambda: site.places() == ["eu-west-3"])
        assert all(site.endpoint(path) is each for path, each in before.items())
        await until(lambda: site.problems == {})


async def test_what_is_the_same_is_not_sent_again(folder: Path, state: Path, publisher: Publishing) -> None:
    publisher.etag = '"1"'
    async with serving(folder, state) as site:
        generation = site.plane.readiness.generation
        await until(lambda: publisher.answered.count(304) >= 2)
        assert publisher.answered.count(200) == 1
        unchanged = {"source": "governance", "outcome": "unchanged"}
        assert await site.metric("fairlead_policy_source_fetches_total", **unchanged) >= 2
        # The same document under another tag is not another one.
        publisher.etag = '"2"'
        await until(lambda: publisher.answered.count(200) == 2 and publisher.answered[-1] == 304)
        assert site.plane.readiness.generation == generation


async def test_a_publisher_that_goes_away_leaves_what_it_published(
    folder: Path, state: Path, publisher: Publishing, logged: list[MutableMapping[str, Any]]
) -> None:
    async with serving(folder, state) as site:
        publisher.close()
        await until(lambda: "policy source governance" in site.problems)
        assert "what it published until 20" in site.problems["policy source governance"]
        assert site.places() == ["eu-west-3", "eu-central-1"]
        await until(
            lambda: [each for each in logged if each["event"].startswith("a policy source cannot be used")]
        )
        publisher.document = policy("europe", FR)
        publisher.open()
        await until(lambda: site.places() == ["eu-west-3"])
        await until(lambda: site.problems == {})
        warned = [each for each in logged if each["event"].startswith("a policy source cannot be used")]
        assert len(warned) == len(
            {each["reason"] for each in warned}
        )  # once for each reason, not for each try


async def test_a_restart_goes_on_without_the_publisher(
    folder: Path, state: Path, publisher: Publishing
) -> None:
    async with serving(folder, state):
        pass
    publisher.close()
    async with serving(folder, state) as site:
        assert site.places() == ["eu-west-3", "eu-central-1"]
        await until(lambda: "policy source governance" in site.problems)
        assert [each for each in site.problems if each != "policy source governance"] == []
    assert os.stat(next(state.rglob("policy-sources.json"))).st_mode & 0o777 == 0o600


async def test_a_restart_after_a_change_meets_it_at_once(
    folder: Path, state: Path, publisher: Publishing
) -> None:
    publisher.etag = '"1"'
    async with serving(folder, state):
        pass
    publisher.document, publisher.etag = policy("europe", FR), '"2"'
    async with serving(folder, state) as site:
        await until(lambda: site.places() == ["eu-west-3"])
        assert site.places("acme/models/free") == list(PLACES)


async def test_who_was_never_reached_refuses_those_that_attach_it(
    folder: Path, state: Path, publisher: Publishing
) -> None:
    publisher.status = 503
    async with serving(folder, state) as site:
        assert site.places() is None
        assert site.places("beta/models/other") == ["eu-west-3"]
        assert "it answers 503" in site.problems["workspace acme"]
        assert "nothing of it is known" in site.problems["policy source governance"]
        assert await site.metric("fairlead_policy_source_age_seconds", source="governance") == float("inf")
        publisher.status = 200
        await until(lambda: site.places() == ["eu-west-3", "eu-central-1"])
        await until(lambda: site.problems == {})


@pytest.mark.parametrize(
    ("document", "code"),
    [
        (
            "apiVersion: fairlead/v1\nkind: Policy\nmetadata: {name: europe}\nspec: {type: place}\n",
            ":4:14: error",
        ),
        (policy("europe", EU) + "---\n" + policy("europe", EU), "error[duplicate-name]"),
        ("kind: Gateway\napiVersion: fairlead/v1\nmetadata: {name: edge}\n", "error[not-a-policy]"),
        ("", "error[empty-file]"),
        ("#" * 2**21, "larger than 1 MiB"),
    ],
    ids=["mistake", "twice", "another kind", "empty", "huge"],
)
async def test_a_bad_document_is_told_of_and_the_last_good_one_stays(
    folder: Path, state: Path, publisher: Publishing, document: str, code: str
) -> None:
    async with serving(folder, state) as site:
        publisher.document = document
        await until(lambda: "policy source governance" in site.problems)
        problem = site.problems["policy source governance"]
        assert code in problem
        assert publisher.url in problem
        assert site.places() == ["eu-west-3", "eu-central-1"]
        publisher.document = policy("europe", FR)
        await until(lambda: site.places() == ["eu-west-3"])
        await until(lambda: site.problems == {})


async def test_a_place_taken_back_is_out_though_it_was_the_only_one(
    folder: Path, state: Path, publisher: Publishing
) -> None:
    async with serving(folder, state) as site:
        publisher.document = policy("europe", ("country", "jp"))
        await until(lambda: site.places() == [])
        # Compiled is not told yet.
        await until(lambda: "no backend in an allowed place" in site.problems.get("workspace acme", ""))
        assert site.places("acme/models/free") == list(PLACES)
        publisher.document = policy("europe", EU, NA)
        await until(lambda: site.places() == list(PLACES))
        await until(lambda: site.problems == {})


async def test_policies_that_are_no_longer_published_stay_as_they_were(
    folder: Path, state: Path, publisher: Publishing
) -> None:
    async with serving(folder, state) as site:
        publisher.document = policy("europa", EU)
        await until(lambda: "publishes no policy `europe`" in site.problems.get("workspace acme", ""))
        assert site.places() == ["eu-west-3", "eu-central-1"]
    # So they do after a restart, for which the document that had them is kept with the workspace.
    async with serving(folder, state) as site:
        assert site.places() == ["eu-west-3", "eu-central-1"]
        assert "publishes no policy `europe`" in site.problems["workspace acme"]


async def test_two_sources_are_followed_each_by_itself(
    folder: Path, state: Path, publisher: Publishing
) -> None:
    with Publishing(policy("france", FR)) as other:
        law = w.manifest("PolicySource", "law", {"url": other.url, "every": "1s"})
        put(folder / "law.yaml", w.write(law))
        both = w.deployment(
            w.revision("v1", *map(w.backend, PLACES)), policies=("law/france", "governance/europe")
        )
        put(folder / "bound.yaml", w.write(w.model("bound", both)))
        async with serving(folder, state) as site:
            assert site.places() == ["eu-west-3"]
            other.close()
            await until(lambda: "policy source law" in site.problems)
            assert "policy source governance" not in site.problems
            publisher.document = policy("europe", ("country", "de"))
            await until(lambda: site.places() == [])
            # A source that is taken away is asked no more, and told of no more.
            (folder / "law.yaml").unlink()
            put(folder / "bound.yaml", (folder / "bound.yaml").read_text().replace("- law/france\n", ""))
            await until(lambda: "policy source law" not in site.problems)
            text = (await get(site.plane, "/metrics")).text
            assert 'fairlead_policy_source_age_seconds{source="law"}' not in text


async def test_a_token_is_shown_from_its_file_and_rotates(
    folder: Path, state: Path, publisher: Publishing
) -> None:
    fleet = (folder / "fleet.yaml").read_text()
    put(folder / "fleet.yaml", fleet.replace("every: 1s", "every: 1s\n  tokenFile: secrets/governance"))
    put(folder / "secrets/governance", "tk-1\n")
    async with serving(folder, state) as site:
        assert publisher.asked[-1]["authorization"] == "Bearer tk-1"
        put(folder / "secrets/governance", "tk-2\n")
        await until(lambda: publisher.asked[-1]["authorization"] == "Bearer tk-2")
        assert site.places() == ["eu-west-3", "eu-central-1"]
        assert "tk-2" not in (await get(site.plane, "/sources")).text


async def test_nothing_is_kept_without_a_state_folder(
    folder: Path, publisher: Publishing, tmp_path: Path
) -> None:
    async with serving(folder, None) as site:
        assert site.places() == ["eu-west-3", "eu-central-1"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["policies"]


def test_a_journal_of_no_use_is_told_of(tmp_path: Path, logged: list[MutableMapping[str, Any]]) -> None:
    for entries in ({"https://a/b": {"document": 1}}, {"https://a/b": "text"}):
        path = tmp_path / "policy-sources.json"
        path.write_text(json.dumps({"format": 1, "entries": entries}))
        sources = PolicySources(Metrics(), Readiness(), "", Journal(path))
        assert sources.unfetched == {}
        assert "cannot be used" in logged.pop()["event"]


def test_a_kept_document_that_is_no_longer_good_is_fetched_anew(tmp_path: Path) -> None:
    path = tmp_path / "policy-sources.json"
    kept = {"document": "kind: Gateway", "etag": '"1"', "confirmed": 1.0}
    path.write_text(json.dumps({"format": 1, "entries": {"https://a/b": kept}}))
    assert PolicySources(Metrics(), Readiness(), "", Journal(path))._kept == {}


def watch() -> SourceWatch:
    spec = PolicySourceSpec.read({"url": "https://governance.example.com/policies.yaml", "every": "60s"})
    source = PolicySource(metadata=Metadata(name="governance"), spec=spec)
    return SourceWatch(Publisher(source, None), None, certifi.contents(), lambda *_: None)


def test_tries_spread_around_the_interval_and_back_off_up_to_it() -> None:
    made = watch()
    calm = {made.delay() for _ in range(200)}
    assert 54 <= min(calm) < max(calm) <= 66
    assert len(calm) > 100
    for failures, most in ((1, 1), (2, 2), (5, 16), (7, 60), (1000, 60)):
        made._failures = failures
        waits = [made.delay() for _ in range(200)]
        assert most / 2 <= min(waits) < max(waits) <= most


async def test_certificates_that_cannot_be_used_are_a_problem_and_no_crash() -> None:
    looks: list[Outcome] = []
    made = watch()
    made = SourceWatch(made.publisher, None, "no certificate", lambda _, outcome: looks.append(outcome))
    await made.run()
    assert looks == [Outcome.FAILED]
    assert made.problem is not None
    assert "CA certificates" in made.problem
