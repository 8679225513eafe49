"""`fairlead release`, and the options of `fairlead serve` that go with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from xds_server.cli import release

from .conftest import Run, free_port


def test_without_a_control_plane_it_says_so(fairlead: Run) -> None:
    done = fairlead("release", "--admin", f"127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert "does not answer" in done.stderr
    assert "--admin" in done.stderr


@pytest.mark.parametrize("share", ["0", "1.5", "-1", "half", "nan"])
def test_a_share_is_a_part_of_the_whole(fairlead: Run, tmp_path: Path, share: str) -> None:
    done = fairlead("serve", tmp_path, "--guard", share)
    assert done.returncode == 64
    assert "--guard" in done.stderr


@pytest.mark.parametrize("options", [(), ("--no-state",)])
def test_a_folder_that_never_was_is_wrong_usage(
    fairlead: Run, tmp_path: Path, options: tuple[str, ...]
) -> None:
    ports = ("--xds", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    done = fairlead("serve", tmp_path / "nowhere", *ports, *options)
    assert done.returncode == 64
    assert "does not exist" in done.stderr


def test_a_state_that_is_no_folder_is_named(fairlead: Run, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("")
    ports = ("--xds", "127.0.0.1:0", "--admin", "127.0.0.1:0")
    done = fairlead("serve", tmp_path, *ports, "--state", tmp_path / "state")
    assert done.returncode == 1
    assert "state is no folder" in done.stderr
    assert "--state" in done.stderr


def test_a_state_and_none_do_not_go_together(fairlead: Run, tmp_path: Path) -> None:
    done = fairlead("serve", tmp_path, "--state", tmp_path, "--no-state")
    assert done.returncode == 64
    assert "--no-state" in done.stderr


HELD = {
    "digest": "93bbe0e1fb66499f",
    "since": "2026-01-01T00:00:00Z",
    "clusters": {"vanishing": 1, "of": 1, "first": ["acme/models/llama/production/v1"]},
    "listeners": {"vanishing": 0, "of": 1, "first": []},
}


@pytest.mark.parametrize(
    ("admin", "command"),
    [
        ("127.0.0.1:18001", "fairlead release 93bbe0e1fb66499f\n"),
        ("127.0.0.1:28001", "fairlead release 93bbe0e1fb66499f --admin 127.0.0.1:28001\n"),
    ],
)
def test_the_command_it_shows_reaches_the_same_control_plane(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], admin: str, command: str
) -> None:
    def answer(_: httpx.Client, path: str) -> httpx.Response:
        told: dict[str, Any] = {"held": HELD}
        return httpx.Response(200, json=told, request=httpx.Request("GET", f"http://{admin}{path}"))

    monkeypatch.setattr(httpx.Client, "get", answer)
    release.release(admin=admin)
    assert capsys.readouterr().err.endswith(command)
