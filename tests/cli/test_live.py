from __future__ import annotations

import json

import pytest

from xds_server.cli.live import LiveLog, describe

REQUEST = {
    "time": "9999-11-21T07:30:12.345Z",
    "method": "POST",
    "path": "/acme/models/llama/v1/chat/completions",
    "status": 200,
    "duration_ms": 12,
    "environment": "production",
    "revision": "v1",
    "region": "eu-west-3",
    "error": None,
}
LINE = "07:30:12 POST /acme/models/llama/v1/chat/completions → 200 in 12 ms  eu-west-3 production v1"


@pytest.mark.parametrize(
    ("request_", "line"),
    [
        (REQUEST, LINE),
        (
            {**REQUEST, "status": 404, "region": "-", "error": "MODEL_NOT_FOUND"},
            "07:30:12 POST /acme/models/llama/v1/chat/completions → 404 in 12 ms  gateway: MODEL_NOT_FOUND",
        ),
        ({"status": 400, "method": None, "path": None, "time": None}, " - - → 400 in 0 ms"),
    ],
)
def test_a_request_becomes_a_line(request_: dict[str, object], line: str) -> None:
    assert describe(request_) == line


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (json.dumps(REQUEST), f"{LINE}\n"),
        (json.dumps({**REQUEST, "time": "2020-01-01T00:00:00.000Z"}), ""),
        ("[warning] something", "envoy  [warning] something\n"),
        ("{not json", "envoy  {not json\n"),
        ('{"other": "json"}', 'envoy  {"other": "json"}\n'),
        ("", ""),
    ],
)
def test_only_what_comes_after_its_opening_is_told(
    capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    log = LiveLog()
    log.tell(line)
    assert capsys.readouterr().err == ""
    log.open()
    log.tell(line)
    assert capsys.readouterr().err == said
