"""The guard: before more than a set share of all clusters or listeners vanishes at once, somebody has to say so."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.e2e.manifest import write
from tests.envoy_process import wait_until
from tests.graph.world import FLEET, Manifest, build_graph, gateway, issuer, model, workspace
from tests.xds.steady_fleet import MODELS, SteadyFleet, steady_fleet
from xds_server.graph import Graph, Loss, find_loss
from xds_server.server import guard
from xds_server.server.guard import Guard
from xds_server.server.pipeline import Pipeline
from xds_server.server.update import Update
from xds_server.sources import FolderSource

HALF = 0.5


def models(*names: str, within: str = "acme") -> list[Manifest]:
    return [workspace(within), *(model(name, within=within) for name in names)]


@pytest.mark.parametrize(
    ("before", "after", "asks"),
    [
        ("ab", "ab", False),
        ("ab", "a", False),  # one of two may go
        ("abcd", "ab", False),  # half of them may
        ("abcd", "a", True),
        ("abc", "a", True),
        ("abc", "def", True),  # replaced is gone, too: somebody else's policies, most likely
        ("a", "b", False),  # a model under a new name
        ("a", "", True),
        ("ab", "", True),
        ("", "ab", False),
    ],
)
def test_O5_more_than_half_of_the_clusters_or_all_of_them_need_a_confirmation(
    before: str, after: str, asks: bool
) -> None:
    loss = find_loss(build_graph(*FLEET, *models(*before)), build_graph(*FLEET, *models(*after)))
    assert loss.exceeds(HALF) is asks
    assert loss.clusters.names == tuple(
        f"acme/models/{name}/production/v1" for name in sorted(set(before) - set(after))
    )


def test_O5_the_share_is_of_clusters_and_can_be_set() -> None:
    before = build_graph(*FLEET, *models(*"abcdefghij"))
    after = build_graph(*FLEET, *models(*"abc"))
    loss = find_loss(before, after)
    assert (len(loss.clusters.names), loss.clusters.before, loss.clusters.after) == (7, 10, 3)
    assert [loss.exceeds(share) for share in (0.5, 0.69, 0.7, 0.8, 1.0)] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("before", "after", "asks"),
    [("abcd", "ab", False), ("abc", "a", True), ("ab", "a", False), ("a", "b", False)],
)
def test_O5_listeners_count_by_themselves(before: str, after: str, asks: bool) -> None:
    def fleet(names: str) -> list[Manifest]:
        return [
            *(gateway(name, port=10_000 + ord(name)) for name in names),
            issuer(),
            *models("llama"),
        ]

    loss = find_loss(build_graph(*fleet(before)), build_graph(*fleet(after)))
    assert loss.exceeds(HALF) is asks
    assert loss.clusters.names == ()
    assert loss.hold().workspaces == frozenset()


class Folder:
    """A policy folder and the pipeline that reads it, a step at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.guard = Guard(HALF)
        self.pipeline = Pipeline(FolderSource(path), guard=self.guard)

    def save(self, **files: list[Manifest]) -> Update:
        for name, manifests in files.items():
            write(self.path, f"{name}.yaml", manifests)
        return self.pipeline.refresh()

    def remove(self, *names: str) -> Update:
        for name in names:
            (self.path / f"{name}.yaml").unlink()
        return self.pipeline.refresh()


ISSUERS = [
    {**issuer(name), "spec": {"issuer": f"https://{name}", "audiences": ["x"], "jwks": {"uri": "https://k"}}}
    for name in ("dev", "old")
]


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """Two workspaces of their own files, four models in all, three of them acme's."""
    made = Folder(tmp_path / "policies")
    trusting = workspace("beta", "dev", "old")
    made.save(
        fleet=[gateway()],
        issuers=ISSUERS,
        acme=models(*"abc"),
        beta=[trusting, model("d", within="beta")],
    )
    assert made.guard.held is None
    return made


def served(update: Update) -> set[str]:
    return set(update.built.graph.endpoints)


ALL = {"acme/models/a", "acme/models/b", "acme/models/c", "beta/models/d"}


def test_O5_what_would_vanish_stays_until_it_is_released(folder: Folder) -> None:
    held = folder.remove("acme")
    assert served(held) == ALL
    assert folder.guard.held is not None
    assert "3 of 4 clusters would vanish: acme/models/a/production/v1" in str(folder.guard.held)
    digest = folder.guard.held.digest
    assert not folder.guard.release("0" * 16)
    assert served(folder.pipeline.refresh()) == ALL
    assert folder.guard.held.digest == digest
    assert folder.guard.release(digest)
    assert served(folder.pipeline.refresh()) == {"beta/models/d"}
    assert folder.guard.held is None


def test_O5_a_release_is_of_one_state_and_not_of_a_later_one(folder: Folder) -> None:
    folder.remove("acme")
    assert folder.guard.held is not None
    assert folder.guard.release(folder.guard.held.digest)
    later = folder.save(beta=[workspace("beta")])
    assert served(later) == ALL
    assert folder.guard.held is not None


def test_O5_what_is_held_can_be_released_while_the_same_policies_are_looked_at_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.remove("acme")
    taken = []

    def release_meanwhile(before: Graph, after: Graph) -> Loss:
        assert folder.guard.held is not None
        taken.append(folder.guard.release(folder.guard.held.digest))
        return find_loss(before, after)

    monkeypatch.setattr(guard, "find_loss", release_meanwhile)
    assert served(folder.pipeline.refresh()) == {"beta/models/d"}
    assert taken == [True]
    assert folder.guard.held is None


def test_O5_what_is_mended_passes_at_once_and_half_mended_does_not(folder: Folder) -> None:
    folder.remove("acme", "beta")
    assert served(folder.save(acme=models(*"abc"))) == ALL
    assert folder.guard.held is not None
    folder.save(beta=[workspace("beta"), model("d", within="beta")])
    assert folder.guard.held is None


def test_O5_meanwhile_other_workspaces_and_issuers_move_on(folder: Folder) -> None:
    folder.remove("acme")
    moved = folder.save(beta=[workspace("beta"), model("d", within="beta"), model("e", within="beta")])
    assert served(moved) == {*ALL, "beta/models/e"}
    revoked = folder.save(issuers=ISSUERS[:1])
    assert set(revoked.built.graph.authorities) == {"dev"}
    assert served(revoked) == {*ALL, "beta/models/e"}
    assert folder.guard.held is not None


def test_O5_an_emptied_folder_leaves_gateways_and_issuers_too(folder: Folder) -> None:
    before = folder.pipeline.refresh().built.graph
    emptied = folder.remove("acme", "beta", "fleet", "issuers").built
    assert emptied.graph == before
    assert emptied.servable
    assert folder.guard.held is not None
    assert len(folder.guard.held.loss.listeners.names) == 1
    assert folder.save(acme=models(*"abc"), issuers=ISSUERS).built.graph == before
    assert folder.guard.held is not None


def test_O5_off_lets_everything_through(folder: Folder) -> None:
    folder.guard.share = None
    assert served(folder.remove("acme", "beta")) == set()


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SteadyFleet]:
    with steady_fleet(tmp_path_factory.mktemp("guard")) as running:
        yield running


@pytest.mark.envoy
def test_O5_H8_an_emptied_folder_takes_nothing_from_envoy_until_it_is_released(fleet: SteadyFleet) -> None:
    assert "nothing is held" in fleet.release().stderr
    before = fleet.counters()
    with fleet.traffic():
        for path in [fleet.folder / f"{name}.yaml" for name in MODELS]:
            path.unlink()
        wait_until(lambda: "guard" in fleet.problems(), "it is held")
        wait_until(lambda: len(_held(fleet)["clusters"]["first"]) == 3, "all of it is seen")
        metrics = httpx.get(f"http://{fleet.serving.admin}/metrics", trust_env=False).text
        assert 'fairlead_held{kind="clusters"} 3.0' in metrics
        assert "acme/models/llama/production/v1" in fleet.release().stdout
        fleet.serving.kill()
        fleet.serving.start()
        fleet.settle()
        assert "guard" in fleet.problems()
    assert fleet.counters() == before
    digest = _held(fleet)["digest"]
    url = f"http://{fleet.serving.admin}/held/{digest}"
    browser = httpx.post(url, headers={"Origin": "https://evil.example"}, trust_env=False)
    assert browser.status_code == 403
    other = fleet.release("0" * 16)
    assert (other.returncode, digest in other.stderr) == (1, True)
    assert fleet.served() == {200}
    assert fleet.release(str(digest)).returncode == 0
    wait_until(lambda: fleet.problems() == {}, "it is let through")
    wait_until(lambda: fleet.served() == {404}, "the models are gone")
    wait_until(lambda: not fleet.kept("workspace.acme"), "and from the disk")


def _held(fleet: SteadyFleet) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = fleet.serving.ask("/held")["held"]
    return found
