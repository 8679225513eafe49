from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from .conftest import sample_model


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    with sample_model(model="llama", revision="v2", region="us-east-1", pause="0") as base:
        yield base


def test_it_says_where_it_is_and_what_reached_it(model: str) -> None:
    answer = httpx.request(
        "DELETE",
        f"{model}/a%2Fb/c?x=%20&x=2",
        headers=[("x-one", "1"), ("x-one", "2"), ("x-api-key", "s3cret"), ("cookie", "s3cret")],
        content=b"12345",
    )
    echo = answer.json()
    assert answer.status_code == 200
    assert (echo["model"], echo["revision"], echo["region"]) == ("llama", "v2", "us-east-1")
    assert (echo["method"], echo["path"], echo["query"]) == ("DELETE", "/a%2Fb/c", "x=%20&x=2")
    assert (echo["headers"]["x-one"], echo["body_bytes"]) == ("1, 2", 5)
    assert "s3cret" not in answer.text


def test_the_gateway_tells_it_the_revision_it_speaks_for(model: str) -> None:
    told = {"x-fairlead-revision": "v7", "x-fairlead-environment": "development"}
    echo = httpx.get(f"{model}/", headers=told).json()
    assert (echo["revision"], echo["environment"], echo["region"]) == ("v7", "development", "us-east-1")


def test_a_large_body_is_counted(model: str) -> None:
    assert httpx.post(f"{model}/upload", content=b"x" * 5_000_000).json()["body_bytes"] == 5_000_000


def test_health(model: str) -> None:
    assert httpx.get(f"{model}/health").json()["status"] == "ok"


def test_a_chat_completion_has_the_usual_shape(model: str) -> None:
    chat = {"messages": [{"role": "user", "content": "ahoy"}]}
    answer = httpx.post(f"{model}/v1/chat/completions", json=chat).json()
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"]["content"].endswith("You said: ahoy")
    assert "us-east-1" in answer["choices"][0]["message"]["content"]
    assert answer["usage"]["total_tokens"] > 0
    assert answer["echo"]["path"] == "/v1/chat/completions"


def test_a_streamed_chat_completion_is_server_sent_events(model: str) -> None:
    chat = {"stream": True, "messages": [{"role": "user", "content": "ahoy"}]}
    answer = httpx.post(f"{model}/v1/chat/completions", json=chat)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    assert events[-1] == "[DONE]"
    chunks = [json.loads(event)["choices"][0] for event in events[:-1]]
    assert "".join(chunk["delta"].get("content", "") for chunk in chunks).endswith("You said: ahoy ")
    assert chunks[-1]["finish_reason"] == "stop"


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b'{"messages": 3}', b'{"messages": [null]}'])
def test_a_strange_chat_is_answered_all_the_same(model: str, body: bytes) -> None:
    assert httpx.post(f"{model}/v1/chat/completions", content=body).status_code == 200
