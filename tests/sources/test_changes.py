"""Every way in which policies are changed on disk is noticed, and what is read afterwards is what is there."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.sources.follower import following, until
from xds_server.sources import FolderSource
from xds_server.sources.notices import PortableNotices
from xds_server.sources.watch import Watch

_PATIENCE = 20.0


@pytest.fixture(autouse=True)
def _without_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may be found by looking at every file from time to time, except where that is the point."""
    monkeypatch.setattr("xds_server.sources.folder.SWEEP", 1000.0)


def _listen_elsewhere(folder: Path, *, recursive: bool, written: bool = True) -> PortableNotices:
    """As `listen` where there is no inotify."""
    return PortableNotices(folder, recursive=recursive)


@pytest.fixture(autouse=True, params=["here", "elsewhere"])
def _listening(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything holds with this system's own notices, and with those that there are on every system."""
    if request.param == "elsewhere":
        monkeypatch.setattr("xds_server.sources.watch.listen", _listen_elsewhere)


def _replace(path: Path, content: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(content)
    temporary.rename(path)


def _as_vim(path: Path, content: str) -> None:
    (path.parent / "4913").write_text("")
    (path.parent / "4913").unlink()
    path.rename(path.with_name(path.name + "~"))
    path.write_text(content)
    path.with_name(path.name + "~").unlink()


def _as_sed(path: Path, content: str) -> None:
    temporary = path.with_name("sedXa1b2")
    temporary.write_text(content)
    temporary.rename(path)


@pytest.mark.parametrize("save", [Path.write_text, _replace, _as_vim, _as_sed])
async def test_a_file_is_saved(tmp_path: Path, save: Callable[[Path, str], object]) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("0")
    async with following(tmp_path) as follower:
        await follower.sees(a="0")
        for turn in range(1, 6):
            save(path, str(turn))
            await follower.sees(a=str(turn))


# How a folder may be given, and what its files are called then: the folder as given, and the path inside it.
_FOLDERS = {"p": "p/", "./p/": "p/", "p/../p": "p/../p/", ".": "./", "../p": "../p/", "": "{}/"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a folder p in it and another beside it."""
    for folder in ("here/p", "p"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.mark.parametrize("given", _FOLDERS)
async def test_names_stay_as_given_in_a_folder(here: Path, given: str) -> None:
    root = given or str(here / "p")
    start = _FOLDERS[given].format(root)
    path = Path(root, "a.yaml")
    path.write_text("0")
    async with following(root) as follower:
        await follower.sees_named({f"{start}a.yaml": "0"})
        with path.open("a") as file:
            file.write("1")
        await follower.sees_named({f"{start}a.yaml": "01"})
        _replace(path, "2")
        await follower.sees_named({f"{start}a.yaml": "2"})
        Path(root, "b.yaml").write_text("b")
        await follower.sees_named({f"{start}a.yaml": "2", f"{start}b.yaml": "b"})
        path.unlink()
        await follower.sees_named({f"{start}b.yaml": "b"})
        Path(root, "sub").mkdir()
        Path(root, "sub/c.yaml").write_text("c")
        await follower.sees_named({f"{start}b.yaml": "b", f"{start}sub/c.yaml": "c"})
        Path(root, "sub/c.yaml").write_text("d")
        await follower.sees_named({f"{start}b.yaml": "b", f"{start}sub/c.yaml": "d"})
        assert follower.names == FolderSource(root).read().files


@pytest.mark.parametrize("given", ["p/a.yaml", "./p/a.yaml", "../p/a.yaml", "a.yaml", "./a.yaml", ""])
async def test_names_stay_as_given_for_a_single_file(here: Path, given: str) -> None:
    path = Path(given or here / "a.yaml")
    path.write_text("0")
    async with following(given or path) as follower:
        await follower.sees_named({str(path): "0"})
        with path.open("a") as file:
            file.write("1")
        await follower.sees_named({str(path): "01"})
        _replace(path, "2")
        await follower.sees_named({str(path): "2"})
        path.with_name("b.yaml").write_text("b")
        path.with_name("ca.pem").write_text("pem")
        path.unlink()
        path.write_text("3")
        await follower.sees_named({str(path): "3"})
        text = follower.source.read()
        assert text.attachments == {str(path.with_name("ca.pem")): b"pem"}
        assert text == FolderSource(path).read()


async def test_a_single_file_that_is_deleted_is_missed(here: Path) -> None:
    Path("a.yaml").write_text("1")
    async with following("a.yaml") as follower:
        await follower.sees(a="1")
        Path("a.yaml").unlink()
        await follower.fails()


async def test_files_come_move_and_go(tmp_path: Path) -> None:
    async with following(tmp_path) as follower:
        (tmp_path / "a.yaml").write_text("a")
        await follower.sees(a="a")
        (tmp_path / "a.yaml").rename(tmp_path / "b.yaml")
        await follower.sees(b="a")
        (tmp_path / "b.yaml").unlink()
        await follower.sees()


async def test_folders_come_move_and_go(tmp_path: Path) -> None:
    async with following(tmp_path / ".") as follower:
        (tmp_path / "one").mkdir()
        (tmp_path / "one/a.yaml").write_text("a")
        await follower.sees(a="a")
        (tmp_path / "one").rename(tmp_path / "two")
        await follower.sees(a="a")
        (tmp_path / "two/a.yaml").write_text("b")
        await follower.sees(a="b")
        (tmp_path / "two").rename(tmp_path / ".away")
        await follower.sees()
        (tmp_path / ".away").rename(tmp_path / "back")
        await follower.sees(a="b")
        shutil.rmtree(tmp_path / "back")
        await follower.sees()


async def test_a_kubernetes_volume_is_swapped(tmp_path: Path) -> None:
    def publish(number: int) -> None:
        (tmp_path / f"..{number}").mkdir()
        (tmp_path / f"..{number}/a.yaml").write_text(str(number))
        (tmp_path / "..data_tmp").symlink_to(f"..{number}")
        (tmp_path / "..data_tmp").rename(tmp_path / "..data")

    publish(1)
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    async with following(tmp_path) as follower:
        await follower.sees(a="1")
        for number in (2, 3, 4):
            publish(number)
            shutil.rmtree(tmp_path / f"..{number - 1}")
            await follower.sees(a=str(number))


async def test_a_linked_root_is_pointed_elsewhere(tmp_path: Path) -> None:
    for number in "12":
        (tmp_path / f"release-{number}").mkdir()
        (tmp_path / f"release-{number}/a.yaml").write_text(number)
    root = tmp_path / "current"
    root.symlink_to("release-1")
    async with following(root) as follower:
        await follower.sees(a="1")
        (tmp_path / "next").symlink_to("release-2")
        (tmp_path / "next").rename(root)
        await follower.sees(a="2")
        (tmp_path / "release-2/a.yaml").write_text("3")
        await follower.sees(a="3")


async def test_the_folder_goes_away_and_comes_back(tmp_path: Path) -> None:
    root = tmp_path / "set"
    root.mkdir()
    (root / "a.yaml").write_text("1")
    async with following(root) as follower:
        await follower.sees(a="1")
        shutil.rmtree(root)
        (tmp_path / "new").mkdir()
        (tmp_path / "new/a.yaml").write_text("2")
        (tmp_path / "new").rename(root)
        await follower.sees(a="2")
        (root / "a.yaml").write_text("3")
        await follower.sees(a="3")


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)


def _move_away(folder: Path) -> None:
    folder.rename(folder.with_name("away"))


@pytest.mark.parametrize("name", ["set", "set/a.yaml"])
@pytest.mark.parametrize("take", [_remove, _move_away])
@pytest.mark.parametrize("at_once", [True, False])
async def test_a_folder_further_up_is_replaced(
    tmp_path: Path, name: str, take: Callable[[Path], None], at_once: bool
) -> None:
    path = tmp_path / "far/up/set/a.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("1")
    async with following(tmp_path / "far/up" / name) as follower:
        await follower.sees(a="1")
        take(tmp_path / "far")
        if not at_once:
            await follower.fails()
        path.parent.mkdir(parents=True)
        path.write_text("2")
        await follower.sees(a="2")
        # Not found by chance while the watches are renewed: each later change is told of, too.
        for content in "3456":
            path.write_text(content)
            await follower.sees(a=content)


async def test_a_sweep_that_finds_something_has_the_watches_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Path] = []

    class Counted(Watch):
        def __init__(self, wish: Any, loop: asyncio.AbstractEventLoop) -> None:
            super().__init__(wish, loop)
            made.append(wish.folder)
            if len(made) <= 2:
                self.stop()  # as if the kernel had lost it

    monkeypatch.setattr("xds_server.sources.watch.Watch", Counted)
    monkeypatch.setattr("xds_server.sources.watch.PULSE", 1000.0)
    monkeypatch.setattr("xds_server.sources.folder.SWEEP", 0.05)
    async with following(tmp_path) as follower:
        # The first may still be found by the look at the beginning, the second by a sweep only.
        for content in "12":
            (tmp_path / "a.yaml").write_text(content)
            await follower.sees(a=content)
        async with asyncio.timeout(_PATIENCE):
            await until(lambda: len(made) >= 4)
        assert made[2:4] == made[:2] == [tmp_path.parent, tmp_path]


async def test_a_single_file(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("1")
    async with following(path) as follower:
        await follower.sees(a="1")
        _replace(path, "2")
        await follower.sees(a="2")
        (tmp_path / "b.yaml").write_text("b")
        path.write_text("3")
        await follower.sees(a="3")


async def test_a_change_before_the_watch_begins_is_not_lost(tmp_path: Path) -> None:
    source = FolderSource(tmp_path)
    source.read()
    (tmp_path / "a.yaml").write_text("a")
    changes = source.changes()
    await asyncio.wait_for(anext(changes), _PATIENCE)
    assert list(source.read().files.values()) == ["a"]
    await changes.aclose()  # type: ignore[attr-defined]


async def test_what_does_not_count_is_not_reported(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("1")
    async with following(tmp_path) as follower:
        await follower.sees(a="1")
        reads = follower.reads
        for name in (".a.yaml.swp", "a.yaml~", "#a.yaml#", "notes.md", "schema.json", ".git/index"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("x")
        _replace(tmp_path / "a.yaml", "2")
        await follower.sees(a="2")
        # Reading does not count as a change either, or this would never end.
        assert follower.reads <= reads + 2


async def test_what_the_kernel_does_not_tell_is_found_by_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf:
        def __init__(self, path: Path, report: object) -> None:
            pass

        def doubt(self) -> None:
            pass

        def stop(self) -> None:
            pass

    monkeypatch.setattr("xds_server.sources.folder.Watches", Deaf)
    monkeypatch.setattr("xds_server.sources.folder.SWEEP", 0.05)
    async with following(tmp_path) as follower:
        (tmp_path / "a.yaml").write_text("1")
        await follower.sees(a="1")
        _replace(tmp_path / "a.yaml", "2")
        await follower.sees(a="2")
        reads = follower.reads
        (tmp_path / "pipe.yaml").mkdir()
        (tmp_path / "a.yaml").rename(tmp_path / "b.yaml")
        await follower.sees(b="2")
        assert follower.reads <= reads + 2


async def test_many_files_at_once_are_few_reads(tmp_path: Path) -> None:
    async with following(tmp_path) as follower:
        reads = follower.reads
        for number in range(300):
            (tmp_path / f"f{number}.yaml").write_text(str(number))
        await follower.sees(**{f"f{number}": str(number) for number in range(300)})
        assert follower.reads - reads <= 30


async def test_nothing_is_left_behind(tmp_path: Path) -> None:
    before = set(threading.enumerate())  # other tests' sources may be watching meanwhile
    async with following(tmp_path) as follower:
        (tmp_path / "a.yaml").write_text("1")
        await follower.sees(a="1")
    left = set(threading.enumerate()) - before
    assert not [thread for thread in left if thread.name.startswith("watch ")]


async def test_there_must_be_something_to_watch(tmp_path: Path) -> None:
    changes = FolderSource(tmp_path / "no/thing").changes()
    with pytest.raises(FileNotFoundError):
        await anext(changes)
