"""The archive by itself: what is written of which ground, and what comes back."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from threading import Event, Thread

import pytest

from tests.golden.folder import JWKS, ROOTS
from tests.graph.world import (
    FLEET,
    Manifest,
    backend,
    deployment,
    gateway,
    issuer,
    location,
    model,
    revision,
    workspace,
    write,
)
from xds_server.archive import Archive, ArchiveFolder, Recalled, Record
from xds_server.archive.breath import Breath
from xds_server.graph import Builder, Built, Graph
from xds_server.policy import DEVELOPMENT_JWKS, LoadCache, load

LYON = location("lyon")
PATIENCE = 20.0


class Plane:
    """A process: it reads versions of a policy set, and keeps what was last good in a state folder."""

    def __init__(self, state: Path) -> None:
        self.archive = Archive(state, Path("policies"))
        self.recalled: Recalled = self.archive.recall()
        self._cache = LoadCache()
        self.recalled.warm(self._cache)
        self._builder = Builder()
        self._started = False

    def build(self, files: Mapping[str, list[Manifest] | str], **attachments: bytes) -> Built:
        texts = {
            f"policies/{name}.yaml": each if isinstance(each, str) else write(*each)
            for name, each in files.items()
        }
        held = {f"policies/{name}.pem": each for name, each in attachments.items()}
        loaded = load(texts, {DEVELOPMENT_JWKS: JWKS, **held}, self._cache)
        if not self._started and self.recalled:
            restored = self.recalled.restore(loaded)
            assert not restored.lost
            self._builder.resume(restored.graph, restored.grounds)
        self._started = True
        return self._builder.build(loaded)

    def keep(self, built: Built) -> int:
        return self.archive.keep(built.grounds, built.kept)

    @property
    def files(self) -> list[str]:
        return sorted(each.name for each in self.archive.path.iterdir())


def restored(state: Path) -> Graph:
    found = Archive(state, Path("policies")).recall().restore()
    assert not found.lost
    return found.graph


GOOD: dict[str, list[Manifest]] = {
    "fleet": [*FLEET, LYON],
    "acme": [workspace("acme"), model("llama"), model("qwen")],
    "beta": [workspace("beta"), model("gemma", within="beta")],
}
SPOILT = "kind: Model\nmetadata: {name: llama, workspace: acme}\nspec: ["


def test_what_is_kept_is_read_back_as_the_same_graph(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    built = plane.build(GOOD)
    assert plane.keep(built) == 3
    assert plane.files == ["fleet.jsonl", "workspace.acme.jsonl", "workspace.beta.jsonl"]
    assert restored(tmp_path) == built.graph


def test_origins_come_back_with_file_and_line(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    files = {"all": [*GOOD["fleet"], *GOOD["acme"], *GOOD["beta"]]}
    built = plane.build(files)
    plane.keep(built)
    for name, tenant in restored(tmp_path).tenants.items():
        assert [each.origin for each in tenant.endpoints.values()] == [
            each.origin for each in built.graph.tenants[name].endpoints.values()
        ]


def test_what_is_the_same_is_not_written_again_nor_read_twice(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    plane.keep(plane.build(GOOD))
    assert plane.keep(plane.build(GOOD)) == 0
    again = Plane(tmp_path)
    (remembered,) = (each.manifests for each in again.recalled.caches[1].files.values())
    built = again.build(GOOD)
    assert all(a is b for a, b in zip(remembered, built.grounds["acme"].roster, strict=True))
    assert again.keep(built) == 0


def test_a_change_of_one_workspace_writes_one_file(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    plane.keep(plane.build(GOOD))
    assert plane.keep(plane.build({**GOOD, "beta": [workspace("beta")]})) == 1


def test_O3_a_broken_workspace_comes_back_as_it_was_and_others_move_on(tmp_path: Path) -> None:
    first = Plane(tmp_path)
    good = first.build(GOOD)
    first.keep(good)
    second = Plane(tmp_path)
    broken = second.build({**GOOD, "acme": SPOILT, "beta": [workspace("beta")]})
    assert broken.kept == {"acme"}
    assert broken.graph.tenants["acme"] == good.graph.tenants["acme"]
    assert broken.graph.tenants["beta"].endpoints == {}
    second.keep(broken)
    assert restored(tmp_path) == broken.graph


def test_a_kept_workspace_takes_along_the_fleet_that_it_stood_on(tmp_path: Path) -> None:
    both = [backend("lyon", "10.0.0.1:80"), backend("eu-west-3", "10.0.0.2:80")]
    files = {**GOOD, "acme": [workspace("acme"), model("llama", deployment(revision("v1", *both)))]}
    first = Plane(tmp_path)
    first.keep(first.build(files))
    moved = first.build({**files, "acme": SPOILT, "fleet": list(FLEET)})
    assert moved.kept == {"acme"}
    (left,) = moved.graph.endpoints["acme/models/llama"].deployments[0].revisions[0].backends
    assert left.place.name == "eu-west-3"
    assert first.keep(moved) == 2
    again = Plane(tmp_path).build({**files, "acme": SPOILT, "fleet": list(FLEET)})
    assert again.graph == moved.graph


def test_attachments_are_kept_with_those_who_refer_to_them(tmp_path: Path) -> None:
    tls = backend("eu-west-3", "https://models.example", tls={"ca": "ca.pem"})
    files = {**GOOD, "acme": [workspace("acme"), model("llama", deployment(revision("v1", tls)))]}
    plane = Plane(tmp_path)
    built = plane.build(files, ca=ROOTS.encode(), other=ROOTS.encode())
    assert not built.errors
    plane.keep(built)
    assert restored(tmp_path) == built.graph
    held = (plane.archive.path / "workspace.acme.jsonl").read_text()
    assert [name for name in ("ca.pem", "other.pem") if f'policies/{name}", "attachment"' in held] == [
        "ca.pem"
    ]


def test_a_workspace_that_is_gone_is_forgotten_and_one_that_is_lost_is_not(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    built = plane.build(GOOD)
    plane.keep(built)
    without = {name: each for name, each in built.grounds.items() if name != "acme"}
    plane.archive.keep(without, frozenset({"acme"}))
    assert "workspace.acme.jsonl" in plane.files
    plane.archive.keep(without)
    assert plane.files == ["fleet.jsonl", "workspace.beta.jsonl"]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda data: data[:-20], "it is cut short or changed"),
        (lambda data: data.replace(b"llama", b"lamas"), "it is cut short or changed"),
        (lambda _: b"", "it is empty"),
        (lambda _: b"hello\n", "it is cut short or changed"),
        (lambda _: b'{"kind": "something else"}\n', "it is not a last good state of Fairlead"),
        (lambda data: data.replace(b'"format": 1', b'"format": 2', 1), "it has format 2"),
        (lambda data: data.replace(b'"owner": "acme"', b'"owner": "beta"', 1), "it is cut short or changed"),
    ],
)
def test_a_spoilt_file_is_set_aside_with_a_reason_and_a_remedy(
    tmp_path: Path, spoil: object, why: str
) -> None:
    plane = Plane(tmp_path)
    built = plane.build(GOOD)
    plane.keep(built)
    path = plane.archive.path / "workspace.acme.jsonl"
    assert callable(spoil)
    path.write_bytes(spoil(path.read_bytes()))
    again = Plane(tmp_path)
    (fault,) = again.recalled.faults
    assert (fault.path, fault.past) == (path, True)
    assert why in fault.reason
    assert "set aside as workspace.acme.jsonl.set-aside-" in fault.remedy
    assert set(again.recalled.workspaces) == {"beta"}
    assert any(name.startswith("workspace.acme.jsonl.set-aside-") for name in again.files)
    assert again.keep(again.build(GOOD)) == 1
    assert again.archive.faults == ()


@pytest.mark.parametrize("complete", [True, False])
def test_an_empty_file_after_a_restart_concerns_those_who_were_in_it_or_everyone(
    tmp_path: Path, complete: bool
) -> None:
    plane = Plane(tmp_path)
    plane.keep(plane.build(GOOD))
    if not complete:
        (plane.archive.path / "workspace.beta.jsonl").write_text("")
    built = Plane(tmp_path).build({**GOOD, "acme": ""})
    assert built.kept == ({"acme"} if complete else {"acme", "beta"})
    assert built.fleet_kept is not complete
    assert set(built.graph.tenants) == ({"acme", "beta"} if complete else {"acme"})


def test_without_its_fleet_a_workspace_stands_on_todays(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    good = plane.build(GOOD)
    plane.keep(good)
    (plane.archive.path / "fleet.jsonl").write_text("")
    built = Plane(tmp_path).build({**GOOD, "acme": SPOILT})
    assert built.graph.tenants == good.graph.tenants
    nothing = Archive(tmp_path, Path("policies")).recall().restore()
    assert nothing.graph.edges == {}


@pytest.mark.parametrize("which", ["folder", "file"])
def test_what_others_can_write_is_not_used(tmp_path: Path, which: str) -> None:
    plane = Plane(tmp_path)
    plane.keep(plane.build(GOOD))
    path = plane.archive.path if which == "folder" else plane.archive.path / "fleet.jsonl"
    path.chmod(path.stat().st_mode | 0o020)
    recalled = Archive(tmp_path, Path("policies")).recall()
    assert recalled.fleet is None
    (fault,) = recalled.faults
    assert (fault.remedy, fault.past) == (f"chmod go-w {path}", False)


def test_a_disk_that_refuses_raises_and_is_tried_again(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.write_text("no folder")
    plane = Plane(state)
    built = plane.build(GOOD)
    with pytest.raises(OSError, match="state"):
        plane.keep(built)
    state.unlink()
    assert plane.keep(built) == 3
    assert restored(state) == built.graph


def test_a_folder_that_was_taken_away_is_written_whole_again(tmp_path: Path) -> None:
    plane = Plane(tmp_path)
    plane.keep(plane.build(GOOD))
    os.rename(plane.archive.path, tmp_path / "elsewhere")
    built = plane.build({**GOOD, "beta": [workspace("beta")]})
    with pytest.raises(FileNotFoundError):
        plane.keep(built)
    plane.keep(built)
    assert plane.files == ["fleet.jsonl", "workspace.acme.jsonl", "workspace.beta.jsonl"]
    assert restored(tmp_path) == built.graph


def test_policy_sets_do_not_share_a_folder_and_files_are_texts(tmp_path: Path) -> None:
    one, two = (Archive(tmp_path, Path(name)) for name in ("policies", "elsewhere/policies"))
    assert one.path != two.path
    plane = Plane(tmp_path)
    plane.keep(plane.build({**GOOD, "fleet": [gateway(), issuer()]}))
    for path in plane.archive.path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
        assert all(isinstance(json.loads(line), dict) for line in path.read_text().splitlines())


def test_an_older_state_still_being_written_does_not_come_out_on_top(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As at the end of a process, which does not wait for what is written in the background."""
    plane = Plane(tmp_path)
    older = plane.build(GOOD)
    newer = plane.build({**GOOD, "acme": [workspace("acme"), model("llama")]})
    begun, go_on, plain = Event(), Event(), ArchiveFolder.write

    def write_slowly(self: ArchiveFolder, record: Record, breath: Breath) -> None:
        monkeypatch.setattr(ArchiveFolder, "write", plain)
        begun.set()
        go_on.wait(PATIENCE)
        plain(self, record, breath)

    monkeypatch.setattr(ArchiveFolder, "write", write_slowly)
    first, second = (Thread(target=plane.keep, args=(built,)) for built in (older, newer))
    first.start()
    assert begun.wait(PATIENCE)
    second.start()
    second.join(0.2)  # it must not be done before the first is
    go_on.set()
    first.join()
    second.join()
    assert restored(tmp_path) == newer.graph
