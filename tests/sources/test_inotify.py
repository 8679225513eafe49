"""What only Linux tells: when a file is written, when a link is made, where a folder moves."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.sources.follower import following

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


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
