"""The load generator's reading of answers, and its count of those that failed."""

from __future__ import annotations

import pytest

from bench.load import Order, Report, is_whole


@pytest.mark.parametrize(
    ("answer", "whole"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", True),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\no", False),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", False),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n", False),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", True),
        (b"HTTP/1.1 204 No Content\r\n\r\n", True),
    ],
)
def test_an_answer_is_whole_at_its_end(answer: bytes, whole: bool) -> None:
    assert is_whole(answer) is whole


def test_a_request_with_a_body_is_a_post_with_its_length() -> None:
    (request,) = Order(1, ["/a"], "secret", "{}").bytes()
    head, _, body = request.partition(b"\r\n\r\n")
    assert head.startswith(b"POST /a HTTP/1.1\r\n")
    assert b"authorization: Bearer secret" in head
    assert b"content-length: 2" in head
    assert body == b"{}"


def test_paths_are_asked_for_in_turn() -> None:
    assert [each.split()[1] for each in Order(1, ["/a", "/b"]).bytes()] == [b"/a", b"/b"]


def test_what_is_not_answered_with_success_failed() -> None:
    report = Report(10, 2.0, {"200": 6, "204": 1, "404": 2, "503": 1}, 4, 0.0, 0.0, 0.0, 0.5)
    assert report.rate == 5.0
    assert report.failed == 7
    assert report.busy == 0.25
