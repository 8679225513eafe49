"""A start that goes on from the image of the process before it: what it need not do, and that nobody can tell."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, MutableMapping
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from tests.e2e.manifest import put
from tests.graph import world as w
from tests.server.recollecting import Process, go_on, told
from tests.server.test_incremental import counting, fleet, model
from tests.server.test_incremental_random import Edits, contents
from xds_server.archive import program
from xds_server.graph import deferral, explain, tenant
from xds_server.policy import DEVELOPMENT_JWKS, Workload, cache, unread
from xds_server.server.guard import Guard
from xds_server.sources import FolderSource, shelf

MODELS = 20
FLEET = 4
"""Documents that hold no model."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    # As if the files had been there for a while.
    monkeypatch.setattr(shelf, "_SETTLED_NS", -(10**12))
    found = tmp_path / "policies"
    put(found / "fleet.yaml", fleet(("continent", "eu")))
    put(found / "keys.json", w.JWKS.decode())
    for number in range(MODELS):
        put(found / f"m{number}.yaml", model(number, policies=("europe",) if number < 3 else ()))
    put(found / "many.yaml", "---\n# two in a file\n" + model(100) + "---\n" + model(101))
    return found


@pytest.fixture
def state(tmp_path: Path, folder: Path) -> Path:
    """Of a process that served the folder, and ended."""
    first = Process(FolderSource(folder), tmp_path / "state", folder)
    assert not first.recollected
    assert first.end()
    return tmp_path / "state"


@pytest.fixture
def logged() -> Iterator[list[MutableMapping[str, object]]]:
    with capture_logs() as found:
        yield found


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    found: Counter[str] = Counter()
    for room, name in (
        (cache, "read_piece"),
        (unread, "read_piece"),
        (tenant, "build_endpoint"),
        (deferral, "build_endpoint"),
        (shelf, "_read"),
    ):
        monkeypatch.setattr(room, name, counting(found, name, getattr(room, name)))
    return found


def image(state: Path) -> Path:
    [found] = state.rglob("image")
    return found


def test_a_restart_over_the_same_files_reads_none_and_parses_no_document(
    folder: Path, state: Path, done: Counter[str]
) -> None:
    again = Process(FolderSource(folder), state, folder)
    assert again.recollected
    assert len(again.update.built.graph.endpoints) == MODELS + 2
    assert (
        sum(1 for _ in again.view.names("type.googleapis.com/envoy.config.cluster.v3.Cluster")) == MODELS + 2
    )
    # What is read is the key set.
    assert done == {"read_piece": FLEET, "_read": 1}
    assert again.end()
    assert done["read_piece"] == FLEET


def test_what_it_serves_is_what_a_start_from_nothing_serves(
    folder: Path, state: Path, tmp_path: Path
) -> None:
    again, anew = (
        Process(FolderSource(folder), state, folder),
        Process(FolderSource(folder), tmp_path / "x", folder),
    )
    assert contents(again.view) == contents(anew.view)
    assert told(again.update) == told(anew.update)
    for path in ("acme/models/m1", "acme/models/m101"):
        one, other = (
            explain(each.update.built.graph, f"/{path}", region="eu-west-3") for each in (again, anew)
        )
        assert one == other


def test_a_model_is_read_and_built_when_somebody_wants_it(
    folder: Path, state: Path, done: Counter[str]
) -> None:
    again = Process(FolderSource(folder), state, folder)
    done.clear()
    route = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
    for _ in range(2):
        assert again.view.get(route, "acme/models/m7") is not None
    assert done == {"read_piece": 1, "build_endpoint": 1}


def test_a_file_that_was_touched_is_read_and_not_parsed(
    folder: Path, state: Path, done: Counter[str]
) -> None:
    os.utime(folder / "m3.yaml")
    again = Process(FolderSource(folder), state, folder)
    assert again.recollected
    assert done == {"read_piece": FLEET, "_read": 2}


def test_a_file_that_changed_meanwhile_is_the_only_one_parsed(
    folder: Path, state: Path, done: Counter[str], tmp_path: Path
) -> None:
    seen = (folder / "m3.yaml").stat()
    put(folder / "m3.yaml", model(3, port=9001))  # of the same size
    os.utime(folder / "m3.yaml", ns=(seen.st_atime_ns, seen.st_mtime_ns))
    put(folder / "new.yaml", model(MODELS))
    (folder / "m4.yaml").unlink()
    again = Process(FolderSource(folder), state, folder)
    assert again.recollected
    assert done["read_piece"] == FLEET + 2
    anew = Process(FolderSource(folder), tmp_path / "other", folder)
    assert told(again.update) == told(anew.update)
    assert contents(again.view) == contents(anew.view)
    assert again.update.before is not None


def test_a_model_that_was_broken_meanwhile_stays_as_it_was(folder: Path, state: Path) -> None:
    put(folder / "m3.yaml", model(3).replace("spec", "spek"))
    again = Process(FolderSource(folder), state, folder)
    assert again.recollected
    assert again.update.built.kept == {"acme"}
    assert len(again.update.built.graph.endpoints) == MODELS + 2
    assert not again.end()
    assert not list(state.rglob("image"))
    assert not Process(FolderSource(folder), state, folder).recollected


def test_a_certificate_or_key_that_changed_meanwhile_has_no_model_read(
    folder: Path, state: Path, done: Counter[str]
) -> None:
    put(folder / "roots.pem", w.ROOTS)
    again = Process(FolderSource(folder), state, folder)
    assert again.recollected
    assert not again.update.built.errors
    assert done["read_piece"] == FLEET


def test_a_policy_that_changed_meanwhile_reaches_the_models_that_it_binds(folder: Path, state: Path) -> None:
    put(folder / "fleet.yaml", fleet(("country", "us")))
    again = Process(FolderSource(folder), state, folder)
    assert again.recollected
    assert {each.code for each in again.update.built.errors} == {"no-allowed-place"}
    assert len(again.update.built.errors) == 3


def cut(data: bytes) -> bytes:
    return data[: len(data) // 2]


def spoil(data: bytes) -> bytes:
    at = data.index(b"m7")
    return data[:at] + b"m8" + data[at + 2 :]


def other_records(data: bytes) -> bytes:
    return data.replace(b'"records": {', b'"records": {"workspace.x.jsonl": "", ', 1)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, "cut short or changed"),
        (spoil, "cut short or changed"),
        (lambda _: b"", "cut short or changed"),
        (lambda _: os.urandom(1000), "cut short or changed"),
        (lambda _: b"[]\n{}\n", "cut short or changed"),
        (lambda _: b'{"fairlead": "image", "format": 3}\n{}\n', "another version"),
        (other_records, "another state"),
    ],
)
def test_an_image_that_is_no_good_is_told_of_and_not_used(
    folder: Path,
    state: Path,
    logged: list[MutableMapping[str, object]],
    damage: Callable[[bytes], bytes],
    reason: str,
) -> None:
    image(state).write_bytes(damage(image(state).read_bytes()))
    again = Process(FolderSource(folder), state, folder)
    assert not again.recollected
    assert any(reason in str(each.get("reason")) for each in logged)
    assert len(again.update.built.graph.endpoints) == MODELS + 2
    assert again.end()
    assert Process(FolderSource(folder), state, folder).recollected


def test_another_program_reads_everything_anew(
    folder: Path, state: Path, monkeypatch: pytest.MonkeyPatch, logged: list[MutableMapping[str, object]]
) -> None:
    monkeypatch.setattr("xds_server.archive.image_form.fingerprint", lambda: "upgraded")
    assert not Process(FolderSource(folder), state, folder).recollected
    assert any("another version" in str(each.get("reason")) for each in logged)


def test_a_fingerprint_is_of_all_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = tmp_path / "xds_server"
    shutil.copytree(
        Path(program.xds_server.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__")
    )
    here = program.fingerprint()
    monkeypatch.setattr(program.xds_server, "__file__", str(copy / "__init__.py"))
    assert program.fingerprint.__wrapped__() == here
    (copy / "policy" / "rules" / "split.py").write_text("# another rule\n")
    assert program.fingerprint.__wrapped__() != here


def test_an_image_that_others_can_write_is_not_used(folder: Path, state: Path) -> None:
    image(state).chmod(0o666)
    assert not Process(FolderSource(folder), state, folder).recollected


def test_an_image_older_than_the_records_is_not_used(folder: Path, state: Path) -> None:
    old = image(state).read_bytes()
    put(folder / "m3.yaml", model(3, port=9001))
    assert Process(FolderSource(folder), state, folder).end()
    image(state).write_bytes(old)
    assert not Process(FolderSource(folder), state, folder).recollected


def test_without_room_on_the_disk_the_records_do(
    folder: Path, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(folder / "m3.yaml", model(3, port=9001))
    again = Process(FolderSource(folder), state, folder)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(again.archive._folder, "write_image", full)
    with pytest.raises(OSError, match="No space"):
        again.end()
    third = Process(FolderSource(folder), state, folder)
    assert not third.recollected
    assert told(third.update) == told(again.update)


def test_what_is_not_a_plain_model_is_read(folder: Path, tmp_path: Path, done: Counter[str]) -> None:
    put(folder / "roots.pem", w.ROOTS)
    secured = w.backend("eu-west-3", "https://x.test:443", tls={"ca": "roots.pem"})
    put(folder / "tls.yaml", w.write(w.model("tls", w.deployment(w.revision("v1", secured)))))
    off = w.model("off", w.deployment(w.revision("v1", w.backend("eu-west-3", "10.0.0.1:80"))))
    off["spec"]["enabled"] = False
    put(folder / "off.yaml", w.write(off))
    put(folder / "end.yaml", model(200) + "...\n---\n" + model(201))
    first = Process(FolderSource(folder), tmp_path / "state", folder)
    assert first.end()
    done.clear()
    again = Process(FolderSource(folder), tmp_path / "state", folder)
    assert again.recollected
    assert done["read_piece"] == FLEET + 3
    assert told(again.update) == told(first.update)
    assert contents(again.view) == contents(first.view)


def test_an_unread_manifest_is_like_any_other(folder: Path, state: Path) -> None:
    roster = Process(FolderSource(folder), state, folder).update.built.grounds["acme"].roster
    manifest = roster.get("Model", "m3")
    assert isinstance(manifest, Workload)
    assert manifest.brief is not None
    assert manifest.environments == ("production",)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = manifest.nonsense  # type: ignore[attr-defined]
    moved = manifest.at(manifest.origin.moved(2))
    assert moved == manifest
    assert moved.origin.line == manifest.origin.line + 2
    assert moved.spec.deployments[0].environment == "production"


@pytest.mark.parametrize("seed", range(6))
def test_going_on_is_what_a_start_from_the_records_is(seed: int, tmp_path: Path) -> None:
    edits = Edits(seed)
    go_on(edits, tmp_path)
    assert edits.attachments[DEVELOPMENT_JWKS] == w.JWKS


def test_what_the_guard_holds_is_still_held_after_a_restart(
    folder: Path, state: Path, logged: list[MutableMapping[str, object]]
) -> None:
    second = Process(FolderSource(folder), state, folder, Guard(0.5))
    assert second.recollected
    for number in range(MODELS):
        (folder / f"m{number}.yaml").unlink()
    second.update = second.pipeline.refresh()
    assert second.update.built.held
    assert len(second.update.built.graph.endpoints) == MODELS + 2
    assert not second.end()
    third = Process(FolderSource(folder), state, folder, Guard(0.5))
    assert not third.recollected
    assert third.update.built.held
    assert len(third.update.built.graph.endpoints) == MODELS + 2


@pytest.mark.parametrize("name", ["fleet.jsonl", "workspace.acme.jsonl"])
def test_an_empty_record_is_no_end(folder: Path, state: Path, name: str) -> None:
    [record] = [each for each in state.rglob("*.jsonl") if each.name == name]
    record.write_bytes(b"")
    again = Process(FolderSource(folder), state, folder)
    assert not again.recollected
    assert len(again.update.built.graph.endpoints) == MODELS + 2
