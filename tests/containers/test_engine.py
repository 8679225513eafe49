"""Without an engine the tests fail, and say what to do. Needs no engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.containers import engine


def test_without_dockerd_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine.shutil, "which", lambda *_, **__: None)
    with pytest.raises(engine.NoEngineError, match=r"apt-get install docker\.io"), engine.own():
        pass


def test_an_engine_that_was_asked_for_is_not_replaced_by_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/nobody.sock")
    with (
        pytest.raises(engine.NoEngineError, match=r"nobody\.sock, and no Docker engine answers"),
        engine.engine(),
    ):
        pass
