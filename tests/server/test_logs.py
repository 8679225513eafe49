"""The log: what people on a terminal read, and what programs do."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog

from xds_server.server import logs


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)


@pytest.mark.parametrize("colours", [True, False])
def test_people_are_not_shown_what_is_not_there(monkeypatch: pytest.MonkeyPatch, *, colours: bool) -> None:
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    logs.configure(stream=stream, json=False)
    structlog.get_logger("a").error("no bracket", code="syntax", hint=None)
    assert "syntax" in stream.getvalue()
    assert "hint" not in stream.getvalue()


def test_programs_get_every_key() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream, json=True)
    structlog.get_logger("a").error("no bracket", code="syntax", hint=None)
    assert json.loads(stream.getvalue())["hint"] is None
