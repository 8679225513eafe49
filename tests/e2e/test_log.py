"""The access log: what was asked for and what was decided, without what is nobody else's business."""

from __future__ import annotations

import json

import pytest

from tests.e2e.stack import Stack
from tests.e2e.wire import ask, bearer

pytestmark = pytest.mark.envoy


def test_a_request_is_logged_with_its_decision(stack: Stack) -> None:
    answer = ask(
        stack.ports.paris, "//acme/models/llama/v1/../chat?prompt=secret", "POST", bearer(stack.acme), b"{}"
    )
    line = stack.line("paris", answer.header("x-request-id"))
    assert line["path"] == "/acme/models/llama/chat"
    assert (line["method"], line["status"], line["environment"]) == ("POST", 200, "production")
    assert line["cluster"] == f"acme/models/llama/production/{line['revision']}"
    assert line["region"] == "eu-west-3"
    text = json.dumps(line)
    assert "secret" not in text
    assert stack.acme not in text


def test_a_refusal_is_logged_with_its_code(stack: Stack) -> None:
    answer = ask(stack.ports.paris, "/beta/models/llama?prompt=secret", "POST", bearer(stack.acme), b"{}")
    line = stack.line("paris", answer.header("x-request-id"))
    assert (line["path"], line["status"], line["error"]) == ("/beta/models/llama", 403, "FORBIDDEN")
    assert "secret" not in json.dumps(line)


def test_a_path_refused_before_the_filters_is_logged_too(stack: Stack) -> None:
    answer = ask(stack.ports.paris, "/acme/models/llama%2f?prompt=secret", "GET", bearer(stack.acme))
    line = stack.line("paris", answer.header("x-request-id"))
    assert (line["status"], line["error"]) == (400, "BAD_REQUEST")
    assert "secret" not in json.dumps(line)
