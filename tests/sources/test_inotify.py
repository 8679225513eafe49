"""What only Linux tells: when a file is written, when a link is made, where a folder moves."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.sources.follower import following

if sys.platform != "linux":
    # CI is Linux, so there nothing is left out. Elsewhere there is nothing to test: the module can't be imported.
    pytest.skip("inotify is Linux's; test_changes holds the same promises elsewhere", allow_module_level=True)

from xds_server.sources import inotify
from xds_server.sources.inotify import InotifyNotices


@pytest.fixture(autouse=True)
def _without_sweeps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here may be found by looking at every file from time to time."""
    monkeypatch.setattr("xds_server.sources.folder.SWEEP", 1000.0)


def replace(path: Path, content: str) -> None:
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(content)
    temporary.rename(path)


async def test_a_file_is_not_read_before_it_is_written(tmp_path: Path) -> None:
    async with following(tmp_path) as follower:
        replace(tmp_path / "c.yaml", "c")
        await follower.sees(c="c")  # no first look at everything is still to come
        with (tmp_path / "a.yaml").open("w") as file:
            file.write("hal")
            file.flush()
            replace(tmp_path / "b.yaml", "b")
            await follower.waits(lambda: "b.yaml" in follower.files)
            assert "a.yaml" not in follower.files
            first = follower.reads
            file.write("f")
        await follower.sees(a="half", b="b", c="c")
        assert follower.reads <= first + 2


async def test_links_are_seen_when_they_are_made(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a")
    async with following(tmp_path) as follower:
        await follower.sees(a="a")
        os.link(tmp_path / "a.yaml", tmp_path / "b.yaml")
        await follower.sees(a="a", b="a")
        (tmp_path / "c.yaml").symlink_to("a.yaml")
        await follower.sees(a="a", b="a", c="a")


def link_and_unlink(path: Path, content: str) -> None:
    """As `maildir` does, and who must not replace what is there."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(content)
    os.link(temporary, path)
    temporary.unlink()


def link_unnamed(path: Path, content: str) -> None:
    """As `open(2)` recommends for a file that is there as a whole or not at all."""
    descriptor = os.open(path.parent, os.O_TMPFILE | os.O_WRONLY, 0o600)
    folder = os.open(path.parent, os.O_DIRECTORY)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        # With a folder it is `linkat`, which follows the link that stands for what is open.
        os.link(f"/proc/self/fd/{descriptor}", path, src_dir_fd=folder)
    os.close(folder)


@pytest.mark.parametrize("link", [link_and_unlink, link_unnamed])
async def test_a_file_that_was_written_elsewhere_is_seen_when_it_is_linked(
    tmp_path: Path, link: Callable[[Path, str], None]
) -> None:
    (tmp_path / "a.yaml").write_text("a")
    async with following(tmp_path) as follower:
        await follower.sees(a="a")
        link(tmp_path / "b.yaml", "b")
        await follower.sees(a="a", b="b")
        for number in range(20):
            link(tmp_path / f"c{number}.yaml", "c")
        await follower.sees(a="a", b="b", **{f"c{number}": "c" for number in range(20)})


async def test_new_files_with_something_in_them_are_not_read_before_their_writer_closes_them(
    tmp_path: Path,
) -> None:
    async with following(tmp_path) as follower:
        replace(tmp_path / "b.yaml", "b")
        await follower.sees(b="b")
        with ExitStack() as stack:
            # Of most of so many, something is in the file before anybody can look.
            files = [stack.enter_context((tmp_path / f"a{at}.yaml").open("w")) for at in range(100)]
            for file in files:
                file.write("hal")
                file.flush()
            await asyncio.sleep(0.3)
            replace(tmp_path / "c.yaml", "c")
            await follower.waits(lambda: "c.yaml" in follower.files)
            assert follower.files == {"b.yaml": "b", "c.yaml": "c"}
            for file in files:
                file.write("f")
        await follower.sees(b="b", c="c", **{f"a{at}": "half" for at in range(100)})


@pytest.fixture
def notices(tmp_path: Path) -> Iterator[InotifyNotices]:
    made = InotifyNotices(tmp_path, recursive=True)
    yield made
    made.close()


def test_a_writer_is_told_from_a_link_by_what_he_writes(notices: InotifyNotices, tmp_path: Path) -> None:
    with (tmp_path / "a.yaml").open("w") as file:
        file.write("hal")
        file.flush()
        # When it is looked at, there is something in it, as in one that was linked.
        for _ in range(3):
            assert notices.next() == set()
        link_and_unlink(tmp_path / "b.yaml", "b")
        found: set[str] = set()
        while "b.yaml" not in found:
            found |= notices.next()
        assert "a.yaml" not in found
        file.write("f")
    assert notices.next() == {"a.yaml"}


def test_what_has_happened_is_told_bit_by_bit(
    notices: InotifyNotices, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who never stops writing would otherwise hold up everybody else."""
    monkeypatch.setattr(inotify, "_MOST", 3)
    for name in "abcdefgh":
        (tmp_path / name).symlink_to("elsewhere")
    told = [notices.next() for _ in range(3)]
    assert [len(each) for each in told] == [3, 3, 2]


async def test_a_folder_that_moves_is_watched_where_it_is(tmp_path: Path) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "policies"
    (outside / "deep").mkdir(parents=True)
    (outside / "deep" / "a.yaml").write_text("1")
    inside.mkdir()
    async with following(inside) as follower:
        outside.rename(inside / "one")
        await follower.sees_named({str(inside / "one/deep/a.yaml"): "1"})
        (inside / "one").rename(inside / "two")
        await follower.sees_named({str(inside / "two/deep/a.yaml"): "1"})
        replace(inside / "two/deep/a.yaml", "2")
        await follower.sees_named({str(inside / "two/deep/a.yaml"): "2"})
        (inside / "two").rename(outside)
        await follower.sees_named({})
        reads = follower.reads
        replace(outside / "deep/a.yaml", "3")
        (inside / "b.yaml").write_text("b")
        await follower.sees_named({str(inside / "b.yaml"): "b"})
        assert follower.reads <= reads + 2


async def test_who_writes_beside_the_folder_without_end_wakes_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, taken = tmp_path / "policies", 0
    folder.mkdir()
    take = InotifyNotices._take

    def count(self: InotifyNotices, event: inotify.Event) -> set[str]:
        nonlocal taken
        taken += 1
        return take(self, event)

    with (tmp_path / "one.log").open("w") as one, (tmp_path / "two.log").open("w") as two:
        monkeypatch.setattr(InotifyNotices, "_take", count)
        async with following(folder) as follower:
            for file in 1000 * (one, two):  # by turns: of the same file again, the kernel makes one event
                file.write("x")
                file.flush()
            replace(folder / "a.yaml", "a")
            await follower.sees(a="a")
            assert taken < 100
