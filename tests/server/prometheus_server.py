"""A server that speaks as much of Prometheus' query API as an instant query takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answers = dict[str, Any]
"""By query: a number, a list of numbers (as many series), or the whole data of an answer; others have no series."""


@contextmanager
def prometheus(answers: Answers, asked: list[str] | None = None) -> Iterator[str]:
    """Run the server; the value is its URL. ``answers`` may be changed meanwhile; ``asked`` notes the queries."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            [query] = parse_qs(parts.query).get("query", [""])
            if asked is not None:
                asked.append(query)
            found = answers.get(query, [])
            if isinstance(found, Exception):
                self._say(400, {"status": "error", "errorType": "bad_data", "error": str(found)})
            elif parts.path != "/api/v1/query":
                self._say(404, "404 page not found")
            else:
                self._say(200, {"status": "success", "data": _data(found)})

        def _say(self, status: int, body: Any) -> None:
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            """Nothing: the tests' output is for the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def _data(found: Any) -> Any:
    if isinstance(found, dict):
        return found
    numbers = found if isinstance(found, list) else [found]
    series = [{"metric": {"number": str(at)}, "value": [1.0, str(each)]} for at, each in enumerate(numbers)]
    return {"resultType": "vector", "result": series}
