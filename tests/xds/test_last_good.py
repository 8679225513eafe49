"""The last good state outlives the server: killed and started again over broken, missing or no policies."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.manifest import put, write
from tests.e2e.serving import Serving
from tests.envoy_process import wait_until
from tests.xds.steady_fleet import SteadyFleet, steady_fleet

pytestmark = pytest.mark.envoy


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SteadyFleet]:
    with steady_fleet(tmp_path_factory.mktemp("last-good")) as fleet:
        yield fleet


@pytest.fixture
def fleet(running: SteadyFleet) -> Iterator[SteadyFleet]:
    """The fleet as it was at first, and again afterwards."""
    yield running
    put(running.folder / "keys/jwks.json", running.issuer.jwks())
    running.write_fleet()
    for workspace in ("acme", "beta"):
        running.write(workspace)
    wait_until(lambda: running.problems() == {}, "all is well again")
    wait_until(lambda: running.served() == {200}, "all is served again")
    running.settle()


def restart(fleet: SteadyFleet, *, after_death: object = None) -> None:
    """Kill the server, do something to its folder meanwhile, start it again, and wait until the fleet is back."""
    fleet.serving.kill()
    if callable(after_death):
        after_death()
    fleet.serving.start()
    fleet.settle()


def test_H8_H9_H10_O3_a_broken_workspace_is_served_after_a_restart_as_it_was(fleet: SteadyFleet) -> None:
    before = fleet.counters()
    with fleet.traffic():
        restart(fleet, after_death=lambda: fleet.break_workspace("acme"))
        restart(fleet)
    assert fleet.counters() == before
    told = fleet.problems()["workspace acme"]
    assert "as it last was (20" in told
    assert "since 20" in told
    assert "acme.yaml:" in told
    assert "deploymints" in told
    assert "kept at the last good state" in fleet.serving.log


def test_H8_H9_H10_everything_is_served_though_the_folder_is_missing_and_again_when_it_is_back(
    fleet: SteadyFleet,
) -> None:
    before, away = fleet.counters(), fleet.folder.with_name("away")
    with fleet.traffic():
        restart(fleet, after_death=lambda: fleet.folder.rename(away))
        assert "cannot be read" in fleet.problems()["policies"]
        assert "as everything last was (the fleet: 20" in fleet.problems()["served"]
        assert fleet.counters() == before
        away.rename(fleet.folder)
        wait_until(lambda: fleet.problems() == {}, "the folder is back")
        fleet.settle()
    assert fleet.counters() == before


def test_H8_H9_a_folder_emptied_while_the_server_was_down_takes_nothing_away(fleet: SteadyFleet) -> None:
    before = fleet.counters()

    def empty() -> None:
        shutil.rmtree(fleet.folder)
        fleet.folder.mkdir()

    with fleet.traffic():
        restart(fleet, after_death=empty)
        assert "3 of 3 clusters and 2 of 2 listeners would vanish" in fleet.problems()["guard"]
    assert fleet.counters() == before


def test_H9_the_fleets_own_manifests_survive_a_restart_and_a_repair_is_taken(fleet: SteadyFleet) -> None:
    before = fleet.counters()
    with fleet.traffic():
        restart(fleet, after_death=lambda: put(fleet.folder / "fleet.yaml", "kind: [Gateway"))
        assert "as it last was" in fleet.problems()["the fleet's own manifests"]
        assert fleet.counters() == before
        generation = fleet.serving.generation()
        assert generation is not None
        fleet.write_fleet()
        wait_until(lambda: fleet.problems() == {}, "the fleet is mended")
        fleet.settle(generation)
    assert fleet.counters() == before


def test_H9_a_workspace_deleted_on_purpose_is_forgotten_on_disk_and_stays_away(fleet: SteadyFleet) -> None:
    generation = fleet.serving.generation()
    assert generation is not None
    (fleet.folder / "beta.yaml").unlink()
    fleet.settle(generation)
    wait_until(lambda: not fleet.kept("workspace.beta"), "it is forgotten")
    restart(fleet)
    assert {answer.status for answer in fleet.ask("/beta/models/gemma")} == {404}


def test_H9_F5_without_a_last_good_state_nothing_is_sent(fleet: SteadyFleet) -> None:
    before = fleet.counters()
    with fleet.traffic():
        fleet.serving.kill()
        state = fleet.serving.state
        state.rename(state.with_name("elsewhere"))
        put(fleet.folder / "fleet.yaml", "kind: [Gateway")
        fleet.serving.start(ready=False)
        wait_until(lambda: len(_nodes(fleet.serving)) == 2, "both Envoys have come")
        assert fleet.serving.generation() is None
        assert fleet.serving.ask("/readyz")["ready"] is False
        assert fleet.counters() == before
        fleet.write_fleet()
        fleet.settle()
    assert fleet.counters() == before
    fleet.wait_kept()


def test_H9_a_spoilt_file_is_set_aside_and_the_rest_is_used(fleet: SteadyFleet) -> None:
    def spoil() -> None:
        (path,) = fleet.serving.state.glob("last-good/*/workspace.beta.jsonl")
        path.write_text(path.read_text()[:-10])
        fleet.break_workspace("acme")

    before = fleet.counters()
    with fleet.traffic():
        restart(fleet, after_death=spoil)
        assert "as it last was" in fleet.problems()["workspace acme"]
    assert "it is cut short or changed, so it is not used" in fleet.serving.log
    assert fleet.counters() == before
    assert list(fleet.serving.state.glob("last-good/*/workspace.beta.jsonl.set-aside-*"))
    restart(fleet)


def test_O3_a_disk_that_cannot_be_written_is_told_and_tried_again(fleet: SteadyFleet) -> None:
    state, elsewhere = fleet.serving.state, fleet.serving.state.with_name("full")
    with fleet.traffic():
        state.rename(elsewhere)
        state.write_text("no folder")
        write(fleet.folder, "more.yaml", [fleet.model("acme", "more")])
        wait_until(lambda: "state" in fleet.problems(), "the disk refuses")
        assert "cannot be written" in fleet.problems()["state"]
        assert {answer.status for answer in fleet.ask("/acme/models/more")} == {200}
        state.unlink()
        elsewhere.rename(state)
        wait_until(lambda: fleet.problems() == {}, "it was tried again")
        assert '"more"' in fleet.kept("workspace.acme") or "name: more" in fleet.kept("workspace.acme")
    (fleet.folder / "more.yaml").unlink()


def _nodes(serving: Serving) -> list[object]:
    found: list[object] = [node for node in serving.ask("/nodes")["nodes"] if node["connected"]]
    return found


def test_H9_what_is_kept_is_closed_to_others(fleet: SteadyFleet) -> None:
    paths: list[Path] = [fleet.serving.state, *fleet.serving.state.rglob("*")]
    modes = {oct(path.stat().st_mode & 0o777) for path in paths if path.is_dir()}
    assert modes == {"0o700"}
    assert {oct(path.stat().st_mode & 0o777) for path in paths if path.is_file()} == {"0o600"}
