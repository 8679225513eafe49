"""The log: what people on a terminal read, and what programs do."""

from __future__ import annotations

import errno
import io
import json

import pytest
import structlog

from xds_server.server import logs


@pytest.mark.parametrize("colours", [True, False])
def test_people_are_not_shown_what_is_not_there(monkeypatch: pytest.MonkeyPatch, *, colours: bool) -> None:
    if not colours:
        monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    logs.configure(stream=stream, as_json=False)
    structlog.get_logger("a").error("no bracket", code="syntax", hint=None)
    assert "syntax" in stream.getvalue()
    assert "hint" not in stream.getvalue()


def test_programs_get_every_key() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream, as_json=True)
    structlog.get_logger("a").error("no bracket", code="syntax", hint=None)
    assert json.loads(stream.getvalue())["hint"] is None


class FullDisk(io.StringIO):
    """A log file on a disk that is full until it is not."""

    full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


@pytest.mark.parametrize("as_json", [True, False])
def test_a_log_that_cannot_be_written_ends_nothing_and_is_told_of_later(*, as_json: bool) -> None:
    stream = FullDisk()
    logs.configure(stream=stream, as_json=as_json)
    log = structlog.get_logger("a")
    log.info("before")
    stream.full = True
    log.info("lost")
    log.error("lost, too")
    stream.full = False
    log.info("after")
    lines = stream.getvalue().splitlines()
    assert [("before" in lines[0]), ("2" in lines[1]), ("after" in lines[2])] == [True] * 3
    assert len(lines) == 3
    if as_json:
        assert json.loads(lines[1]) == {
            "event": "lines of the log could not be written",
            "level": "warning",
            "lines": 2,
        }


def test_a_log_that_was_closed_ends_nothing() -> None:
    stream = io.StringIO()
    logs.configure(stream=stream)
    stream.close()
    structlog.get_logger("a").info("nobody reads this")
