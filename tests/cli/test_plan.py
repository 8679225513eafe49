"""What `fairlead up` makes of a policy set: the door, the first request, the samples."""

from __future__ import annotations

import http.server
import shlex
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from xds_server.cli.plan import find_region
from xds_server.cli.sample import Sample, claim, find_samples
from xds_server.cli.trial import Door, Trial, await_answer, choose_endpoint, find_door
from xds_server.graph import Builder, Graph
from xds_server.policy import load

from .conftest import free_port

FLEET = """\
apiVersion: fairlead/v1
kind: Gateway
metadata: {name: edge}
spec: {listeners: [%s]}
---
apiVersion: fairlead/v1
kind: Issuer
metadata: {name: elsewhere}
spec:
  issuer: https://issuer.example.com
  audiences: [fairlead]
  jwks: {uri: https://issuer.example.com/jwks.json}
---
apiVersion: fairlead/v1
kind: Workspace
metadata: {name: acme}
spec: {issuers: [elsewhere]}
"""
PLAIN = "{name: run, port: 10000}"


def workload(kind: str, name: str, environment: str, *backends: str) -> str:
    places = ", ".join(f"{{{backend}}}" for backend in backends)
    return f"""\
---
apiVersion: fairlead/v1
kind: {kind}
metadata: {{name: {name}, workspace: acme}}
spec:
  deployments:
    - environment: {environment}
      revisions: [{{name: v1, backends: [{places}]}}]
"""


def build(*manifests: str, listeners: str = PLAIN) -> Graph:
    loaded = load({"all.yaml": FLEET % listeners + "".join(manifests)}, {})
    built = Builder().build(loaded)
    assert not built.errors
    return built.graph


@pytest.mark.parametrize(
    ("listeners", "door"),
    [
        (PLAIN, Door("http://127.0.0.1:10000", None)),
        ('{name: run, address: "::", port: 10000}', Door("http://[::1]:10000", None)),
        ("{name: run, address: 10.1.2.3, port: 80}", Door("http://10.1.2.3:80", None)),
        (
            "{name: a, port: 80, hostnames: [run.example.com]}, {name: b, port: 81}",
            Door("http://127.0.0.1:81", None),
        ),
        (
            '{name: a, port: 80, hostnames: ["*.example.com"]}',
            Door("http://127.0.0.1:80", "run.example.com"),
        ),
    ],
)
def test_the_door_is_the_listener_that_is_easiest_to_reach(listeners: str, door: Door) -> None:
    assert find_door(build(listeners=listeners).edges["edge"].gateway) == door


def test_the_first_request_goes_to_a_model_in_its_default_environment() -> None:
    place = "location: eu-west-3, address: 10.0.0.1:80"
    graph = build(
        workload("Agent", "a", "production", place),
        workload("Model", "b", "development", place),
        workload("Model", "c", "production", place),
    )
    chosen = choose_endpoint(graph)
    assert chosen
    assert (chosen[0].path, chosen[1]) == ("acme/models/c", None)


def test_without_a_default_environment_the_first_request_names_one() -> None:
    graph = build(workload("Model", "b", "development", "location: us-east-1, address: 10.0.0.1:80"))
    chosen = choose_endpoint(graph)
    assert chosen
    assert chosen[1] == "development"
    assert find_region(chosen[0]) == "us-east-1"


def test_nothing_deployed_is_nothing_to_try() -> None:
    assert choose_endpoint(build()) is None


def test_the_curl_is_quoted_for_a_shell() -> None:
    trial = Trial(
        Door("https://127.0.0.1:443", "run.example.com"), "acme/models/llama", "development", "t.o.k"
    )
    words = shlex.split(trial.curl())
    assert words[:3] == ["curl", "-sS", "-k"]
    assert "Host: run.example.com" in words
    assert "https://127.0.0.1:443/acme/models/llama/v1/chat/completions?environment=development" in words
    assert "Authorization: Bearer t.o.k" in words
    assert '"Authorization: Bearer $TOKEN"' in Trial(trial.door, trial.path, None, None).curl()


def test_samples_stand_for_plain_backends_on_this_machine_only() -> None:
    graph = build(
        workload(
            "Model",
            "llama",
            "production",
            "location: eu-west-3, address: 127.0.0.1:9001",
            "location: us-east-1, address: localhost:9002",
            'location: us-east-2, address: "[::1]:9003"',
            "location: us-west-1, address: 10.0.0.1:9004",
            "location: us-west-2, address: https://127.0.0.1:9005, tls: {sni: x.example.com}",
        ),
        workload("Agent", "planner", "production", "location: eu-west-3, address: 127.0.0.1:9001"),
    )
    both = ("acme/agents/planner", "acme/models/llama")
    llama = ("acme/models/llama",)
    assert find_samples(graph) == (
        Sample("127.0.0.1", 9001, "eu-west-3", both, ("v1",)),
        Sample("127.0.0.1", 9002, "us-east-1", llama, ("v1",)),
        Sample("::1", 9003, "us-east-2", llama, ("v1",)),
    )


def test_an_address_is_claimed_once() -> None:
    sample = Sample("127.0.0.1", free_port(), "eu-west-3", ("m",), ("v1",))
    first = claim(sample)
    assert first
    with first:
        assert claim(sample) is None
    with socket.create_server((sample.host, sample.port)):
        assert claim(sample) is None


GATEWAY = b'{"error": {"origin": "gateway", "code": "UPSTREAM_UNAVAILABLE", "message": "no backend"}}'


@contextmanager
def answering(*answers: tuple[int, bytes]) -> Iterator[tuple[str, list[str]]]:
    """Give these answers in turn, the last one for good."""
    paths: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = answers[min(len(paths), len(answers) - 1)]
            paths.append(self.path)
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
            yield f"http://127.0.0.1:{server.server_port}", paths
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize("answer", [(200, b"{}"), (404, b"no such path"), (500, b'{"error": "mine"}')])
async def test_it_waits_until_the_model_answers_whatever_it_says(answer: tuple[int, bytes]) -> None:
    with answering((503, GATEWAY), (404, GATEWAY), answer) as (base, paths):
        trial = Trial(Door(base, None), "acme/models/llama", "development", "token")
        assert await await_answer(trial, 30.0) is None
    assert paths == ["/acme/models/llama?environment=development"] * 3


async def test_it_gives_up_with_the_last_reason() -> None:
    with answering((503, GATEWAY)) as (base, paths):
        trial = Trial(Door(base, None), "acme/models/llama", None, "token")
        for patience in (0.5, 2.0, 20.0):
            paths.clear()
            reason = await await_answer(trial, patience)
            if len(paths) > 1:  # it has heard one answer, for which this machine may have needed longer
                break
    assert reason == "503 UPSTREAM_UNAVAILABLE: no backend"


async def test_without_a_token_a_401_is_all_that_can_be_had() -> None:
    with answering((401, GATEWAY)) as (base, _):
        assert await await_answer(Trial(Door(base, None), "acme/models/llama", None, None), 30.0) is None
