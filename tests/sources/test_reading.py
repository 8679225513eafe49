"""What a folder source reads, and what it leaves alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from xds_server.sources import FolderSource
from xds_server.sources.shelf import LARGEST_ATTACHMENT, LARGEST_POLICY, Shelf

_NOBODY = 65534


def _write(folder: Path, name: str, content: str | bytes = "a: 1\n") -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_files_and_attachments(tmp_path: Path) -> None:
    for name in (
        "a.yaml",
        "b/c.yml",
        "b/d/e.json",
        "certs/run.crt",
        "certs/run.key",
        "certs/ca.pem",
        "k.jwks",
    ):
        _write(tmp_path, name, "{}")
    _write(tmp_path, "keys.json", '{"keys": []}')
    text = FolderSource(tmp_path).read()
    assert {os.path.relpath(name, tmp_path) for name in text.files} == {"a.yaml", "b/c.yml", "b/d/e.json"}
    assert {os.path.relpath(name, tmp_path) for name in text.attachments} == {
        *("certs/run.crt", "certs/run.key", "certs/ca.pem", "k.jwks", "keys.json", "b/d/e.json")
    }
    assert text.problems == {}


def test_a_folder_for_secrets_holds_files_of_any_name(tmp_path: Path) -> None:
    for name in ("secrets/v1-key", "acme/secrets/token.txt", "acme/secrets/.hidden", "acme/secretsof/x", "x"):
        _write(tmp_path, name, "sk")
    _write(tmp_path, "secrets/more.yaml")
    text = FolderSource(tmp_path).read()
    assert {os.path.relpath(name, tmp_path) for name in text.files} == {"secrets/more.yaml"}
    assert {os.path.relpath(name, tmp_path) for name in text.attachments} == {
        "secrets/v1-key",
        "acme/secrets/token.txt",
    }
    single = FolderSource(_write(tmp_path, "a.yaml")).read()
    assert {os.path.relpath(name, tmp_path) for name in single.attachments} == {"secrets/v1-key"}


def test_names_are_shown_as_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _write(tmp_path, "set/a.yaml")
    monkeypatch.chdir(tmp_path)
    assert list(FolderSource("set").read().files) == ["set/a.yaml"]
    assert list(FolderSource("./set/").read().files) == ["set/a.yaml"]
    assert list(FolderSource("set/a.yaml").read().files) == ["set/a.yaml"]


@pytest.mark.parametrize(
    "name",
    [
        *(
            ".a.yaml",
            ".git/a.yaml",
            "..2026/a.yaml",
            "a.yaml~",
            "#a.yaml#",
            ".#a.yaml",
            ".a.yaml.swp",
            "a.yaml.tmp",
        ),
        *(
            "schema.json",
            "b/schema.json",
            "README.md",
            "a.yaml.bak",
            "4913",
            "yaml",
            "~a.yaml",
            "a.yaml___jb_tmp___",
        ),
    ],
)
def test_what_is_left_alone(tmp_path: Path, name: str) -> None:
    _write(tmp_path, name)
    text = FolderSource(tmp_path).read()
    assert (text.files, text.attachments, text.problems) == ({}, {}, {})


@pytest.mark.parametrize(
    ("content", "is_policy"),
    [
        ('{"keys": []}', False),
        ('{"keys": [], "kind": "Environment"}', True),
        ('{"kind": "Environment"}', True),
        ("[]", True),
        ('{"keys": [', True),
        ("[" * 100_000, True),
    ],
)
def test_json_that_may_hold_policies_is_never_taken_for_something_else(
    tmp_path: Path, content: str, is_policy: bool
) -> None:
    path = _write(tmp_path, "a.json", content)
    text = FolderSource(tmp_path).read()
    assert (str(path) in text.files) is is_policy
    assert str(path) in text.attachments


def test_bytes_that_are_not_utf_8_are_handed_on(tmp_path: Path) -> None:
    path = _write(tmp_path, "a.yaml", b"name: caf\xe9\n")
    assert FolderSource(tmp_path).read().files == {str(path): "name: caf\udce9\n"}


def test_a_single_file_comes_with_what_lies_beside_it(tmp_path: Path) -> None:
    path = _write(tmp_path, "a.yaml")
    _write(tmp_path, "b.yaml")
    _write(tmp_path, "keys/jwks.json", '{"keys": []}')
    _write(tmp_path, "run.crt")
    _write(tmp_path, ".hidden/run.crt")
    _write(tmp_path, "deep/er/run.crt")
    text = FolderSource(path).read()
    assert list(text.files) == [str(path)]
    assert set(text.attachments) == {str(tmp_path / "keys/jwks.json"), str(tmp_path / "run.crt")}


def test_links_inside_are_followed_and_links_outside_are_not(tmp_path: Path) -> None:
    outside, folder = tmp_path / "outside", tmp_path / "set"
    _write(outside, "secret.key", "secret")
    _write(outside, "secret.yaml", "secret")
    inside = _write(folder, "real/a.yaml", "inside")
    _write(folder, "real/a.pem", "inside")
    for name in ("secret.key", "secret.yaml"):
        (folder / name).symlink_to(outside / name)
    (folder / "b.yaml").symlink_to("real/a.yaml")
    (folder / "b.pem").symlink_to("real/a.pem")
    (folder / "linked").symlink_to(outside)
    (folder / "loop.yaml").symlink_to("loop.yaml")
    (folder / "dangling.yaml").symlink_to("nothing")
    text = FolderSource(folder).read()
    assert text.files == {str(inside): "inside", str(folder / "b.yaml"): "inside"}
    assert set(text.attachments) == {str(folder / "real/a.pem"), str(folder / "b.pem")}
    assert {os.path.relpath(name, folder) for name in text.problems} == {
        *("secret.key", "secret.yaml", "linked", "loop.yaml", "dangling.yaml")
    }
    assert "secret" not in str(text.files) + str(text.attachments)


def test_a_folder_whose_name_begins_alike_is_outside(tmp_path: Path) -> None:
    _write(tmp_path, "set-two/a.yaml", "secret")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.yaml").symlink_to("../set-two/a.yaml")
    text = FolderSource(tmp_path / "set").read()
    assert text.files == {}
    assert list(text.problems.values()) == ["the link leads out of the policy folder"]


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    _write(tmp_path, "large.yaml", b"#" * (LARGEST_POLICY + 1))
    _write(tmp_path, "large.pem", b"#" * (LARGEST_ATTACHMENT + 1))
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    text = FolderSource(tmp_path).read()
    assert {os.path.basename(name): why for name, why in text.problems.items()} == {
        "large.yaml": "is larger than 16 MiB",
        "large.pem": "is larger than 1 MiB",
        "pipe.yaml": "is not a regular file",
    }


_READ_AS_NOBODY = """
import json, os, sys
from xds_server.sources import FolderSource
if os.geteuid() == 0:
    os.setgroups([])
    os.setuid(int(sys.argv[2]))
problems = FolderSource(sys.argv[1]).read().problems
print(json.dumps(sorted(os.path.basename(name) for name in problems)))
"""


def _read_as_nobody(folder: Path) -> list[str]:
    """The names that cannot be read, found by a process without root's rights, where this one has them.

    A process of its own, not a fork: this one has the threads of gRPC and of other tests.
    """
    command = [sys.executable, "-c", _READ_AS_NOBODY, str(folder), str(_NOBODY)]
    names: list[str] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return names


def test_permission_denied() -> None:
    # Not below `tmp_path`, which nobody but its owner may enter.
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        _write(Path(folder), "a.yaml").chmod(0)
        closed = _write(Path(folder), "closed/b.yaml").parent
        closed.chmod(0)
        try:
            assert _read_as_nobody(Path(folder)) == ["a.yaml", "closed"]
        finally:
            closed.chmod(0o700)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        FolderSource(tmp_path / "nothing").read()
    assert FolderSource(tmp_path).read().files == {}


def test_a_kubernetes_volume(tmp_path: Path) -> None:
    _write(tmp_path, "..2026_01/a.yaml", "one")
    _write(tmp_path, "..2026_01/ca.pem", "one")
    (tmp_path / "..data").symlink_to("..2026_01")
    for name in ("a.yaml", "ca.pem"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    text = FolderSource(tmp_path).read()
    assert text.files == {str(tmp_path / "a.yaml"): "one"}
    assert text.attachments == {str(tmp_path / "ca.pem"): b"one"}


def test_a_change_that_leaves_size_and_time_alone_is_seen(tmp_path: Path) -> None:
    path = _write(tmp_path, "a.yaml", "weight: 10")
    source = FolderSource(tmp_path)
    source.read()
    at = path.stat().st_mtime_ns
    path.write_text("weight: 20")
    os.utime(path, ns=(at, at))
    assert source.read().files == {str(path): "weight: 20"}


def test_a_file_that_grows_while_it_is_read_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = _write(tmp_path, "a.yaml", "a: 1\n")
    grown = "a: 1\n" * 1000
    read = os.open

    def grow(name: str, flags: int, *more: int) -> int:
        path.write_text(grown)
        monkeypatch.undo()
        return read(name, flags, *more)

    monkeypatch.setattr(os, "open", grow)
    assert FolderSource(tmp_path).read().files == {str(path): grown}


def test_a_look_at_every_file_finds_what_differs_and_rests_meanwhile(tmp_path: Path) -> None:
    for number in range(40):
        _write(tmp_path, f"{number}.yaml")
    shelf, rests = Shelf(tmp_path), []
    shelf.refresh_all()
    assert shelf.find_changed(lambda: rests.append(1)) == []
    assert rests == [1, 1]
    new, other, gone = (str(tmp_path / name) for name in ("new.yaml", "1.yaml", "2.yaml"))
    _write(tmp_path, "new.yaml")
    _write(tmp_path, "1.yaml", "a: 22\n")
    (tmp_path / "2.yaml").unlink()
    (tmp_path / "3.yaml").unlink()
    found = shelf.find_changed()
    assert {*found} == {new, other, gone, str(tmp_path / "3.yaml")}
    assert all(map(shelf.is_changed, found))
    shelf.refresh([new, gone])
    assert [shelf.is_changed(each) for each in (new, other, gone)] == [False, True, False]
