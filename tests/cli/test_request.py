from __future__ import annotations

import base64
import http.server
import json
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .conftest import FAIRLEAD, PATIENCE, Run, free_port, sample_model

GATEWAY_ERROR = {
    "error": {
        "code": "DEPLOYMENT_NOT_FOUND",
        "message": "acme/llama has no deployment on staging",
        "status": 404,
        "retryable": False,
        "origin": "gateway",
        "request_id": "abc-1",
    }
}


@pytest.fixture(scope="module")
def model() -> Iterator[str]:
    with sample_model(model="llama", revision="v1", region="eu-west-3", pause="0") as base:
        yield base


@contextmanager
def refusing(status: int, body: bytes) -> Iterator[tuple[str, list[str]]]:
    """Serve one refusal to everything, and keep the bearer tokens that come in."""
    seen: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers.get("authorization", ""))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("kind", "segment"), [("model", "models"), ("agent", "agents"), ("function", "functions")]
)
def test_the_path_names_workspace_kind_and_name(fairlead: Run, model: str, kind: str, segment: str) -> None:
    done = fairlead("run", kind, "llama-3.1", "-w", "acme", "--endpoint", model)
    assert done.returncode == 0, done.stderr
    echo = json.loads(done.stdout)
    assert (echo["method"], echo["path"], echo["query"]) == ("GET", f"/acme/{segment}/llama-3.1", "")
    assert echo["headers"]["authorization"] == "(hidden)"
    assert echo["headers"]["user-agent"].startswith("fairlead/")


def test_every_option_reaches_the_request(fairlead: Run, model: str) -> None:
    done = fairlead(
        *("run", "model", "llama", "-w", "acme", "--endpoint", model, "--env", "development"),
        *("--path", "v1/a%20b?own=1", "--param", "q=ü &", "--param", "flag=", "--method", "patch"),
        *("--header", "X-One: 1", "-H", "Content-Type: text/plain", "--data", "hello"),
    )
    assert done.returncode == 0, done.stderr
    echo = json.loads(done.stdout)
    assert echo["method"] == "PATCH"
    assert echo["path"] == "/acme/models/llama/v1/a%20b"
    assert echo["query"] == "own=1&environment=development&q=%C3%BC+%26&flag="
    assert echo["headers"]["x-one"] == "1"
    assert echo["headers"]["content-type"] == "text/plain"
    assert echo["body_bytes"] == 5


def test_data_comes_from_a_file_or_stdin(fairlead: Run, model: str, tmp_path: Path) -> None:
    (tmp_path / "body.bin").write_bytes(bytes(range(256)) * 8)
    command = ("run", "model", "llama", "-w", "acme", "--endpoint", model, "--data")
    from_file = json.loads(fairlead(*command, f"@{tmp_path / 'body.bin'}").stdout)
    from_stdin = json.loads(fairlead(*command, "@-", input="x" * 100).stdout)
    assert (from_file["method"], from_file["body_bytes"]) == ("POST", 2048)
    assert from_file["headers"]["content-type"] == "application/json"
    assert from_stdin["body_bytes"] == 100
    missing = fairlead(*command, "@nothing-here")
    assert (missing.returncode, missing.stdout) == (1, "")
    assert "nothing-here" in missing.stderr


def test_a_stream_is_shown_as_it_arrives(environment: dict[str, str], tmp_path: Path) -> None:
    """The server sends the second part only once the first has come out of the command."""
    first_seen = threading.Event()

    def answer(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfirst")
            assert first_seen.wait(PATIENCE)
            connection.sendall(b" last")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=answer, args=[listener])
        server.start()
        endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
        process = subprocess.Popen(
            [FAIRLEAD, "run", "model", "llama", "-w", "acme", "--endpoint", endpoint],
            env=environment,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
        )
        assert process.stdout
        assert process.stdout.read(5) == b"first"
        first_seen.set()
        assert process.stdout.read() == b" last"
        assert process.wait(PATIENCE) == 0
        server.join()


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (
            404,
            json.dumps(GATEWAY_ERROR).encode(),
            "DEPLOYMENT_NOT_FOUND from the gateway: acme/llama has no deployment on staging (request abc-1)",
        ),
        (500, b'{"error": {"message": "out of memory"}}', "HTTP 500 Internal Server Error, from behind"),
        (429, b"slow down", "HTTP 429 Too Many Requests, from behind the gateway"),
        (302, b"", "HTTP 302 Found"),
    ],
)
def test_a_refusal_says_who_refused_and_exits_1(fairlead: Run, status: int, body: bytes, words: str) -> None:
    with refusing(status, body) as (base, _):
        done = fairlead("run", "model", "llama", "-w", "acme", "--endpoint", base)
    assert done.returncode == 1
    assert done.stdout == body.decode()
    assert words in done.stderr


def test_the_token_comes_from_option_variable_or_development_issuer(fairlead: Run) -> None:
    with refusing(200, b"") as (base, seen):
        command = ("run", "model", "llama", "-w", "acme", "--endpoint", base)
        fairlead(*command, "--token", "one", env={"FAIRLEAD_TOKEN": "two"})
        fairlead(*command, env={"FAIRLEAD_TOKEN": "two"})
        fairlead(*command, "-H", "Authorization: Basic eDp5")
        fairlead(*command)
    assert seen[:3] == ["Bearer one", "Bearer two", "Basic eDp5"]
    payload = seen[3].removeprefix("Bearer ").split(".")[1]
    assert json.loads(base64.urlsafe_b64decode(payload + "=="))["workspaces"] == ["acme"]


def test_no_development_token_leaves_this_machine(fairlead: Run, tmp_path: Path) -> None:
    done = fairlead("run", "model", "llama", "-w", "acme", "--endpoint", "https://run.example.com")
    assert done.returncode == 1
    assert "--token" in done.stderr
    assert not (tmp_path / "state").exists()


def test_nobody_there_is_an_error_with_a_remedy(fairlead: Run) -> None:
    port = free_port()
    done = fairlead("run", "model", "llama", "-w", "acme", "--endpoint", f"http://127.0.0.1:{port}")
    assert (done.returncode, done.stdout) == (1, "")
    assert f"127.0.0.1:{port}" in done.stderr
    assert "fairlead up" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--endpoint", "127.0.0.1:10000"), ("--param", "x"), ("--header", "X-One"), ("--nonsense",)],
)
def test_wrong_usage_exits_64(fairlead: Run, arguments: tuple[str]) -> None:
    assert fairlead("run", "model", "llama", "-w", "acme", *arguments).returncode == 64
