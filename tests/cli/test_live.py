from __future__ import annotations

import json

import pytest

from xds_server.cli.live import tell

REQUEST = {
    "time": "2026-11-21T07:30:12.345Z",
    "method": "POST",
    "path": "/acme/models/llama/v1/chat/completions",
    "status": 200,
    "duration_ms": 12,
    "environment": "production",
    "revision": "v1",
    "region": "eu-west-3",
    "error": None,
}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (
            json.dumps(REQUEST),
            "07:30:12 POST /acme/models/llama/v1/chat/completions → 200 in 12 ms  eu-west-3 production v1",
        ),
        (
            json.dumps({**REQUEST, "status": 404, "region": "-", "error": "MODEL_NOT_FOUND"}),
            "07:30:12 POST /acme/models/llama/v1/chat/completions → 404 in 12 ms  gateway: MODEL_NOT_FOUND",
        ),
        (
            json.dumps({"status": 400, "method": None, "path": None, "time": None}),
            " - - → 400 in 0 ms",
        ),
        ("[warning] something", "envoy  [warning] something"),
        ("{not json", "envoy  {not json"),
        ('{"other": "json"}', 'envoy  {"other": "json"}'),
    ],
)
def test_a_line_of_envoy_becomes_a_line_for_people(
    capsys: pytest.CaptureFixture[str], line: str, said: str
) -> None:
    tell(line)
    assert capsys.readouterr().err == f"{said}\n"


def test_an_empty_line_is_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    tell("")
    assert capsys.readouterr().err == ""
