"""Models that come with their first request: what a client meets, and what the Envoy has meanwhile."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path
from socket import MSG_PEEK

import pytest

from tests.e2e.certificates import Certificates
from tests.e2e.cold import Cold, run_cold
from tests.e2e.manifest import backend, put, revision, workload, write
from tests.e2e.wire import Answer, Wire, ask, bearer, write_request
from tests.e2e.world import PARIS
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

LARGE = b"0123456789abcdef" * 655_360
"""10 MB."""
_SLOW = 400
"""Requests at once that a model never answers, at most: a change may take long, and descriptors are few."""


@pytest.fixture(scope="module")
def cold(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cold]:
    with run_cold(tmp_path_factory.mktemp("cold")) as running:
        yield running


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cold]:
    """A gateway that waits for what a first request needs no longer than usual: 2 s."""
    with run_cold(tmp_path_factory.mktemp("hasty"), timeouts={}) as running:
        yield running


def _chunked(body: bytes, size: int = 65_536) -> bytes:
    chunks = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in [*chunks, b""])


@contextmanager
def _traffic(cold: Cold, *names: str) -> Iterator[tuple[list[Answer], Callable[[], None]]]:
    """Requests without end to each model; yields all answers but 200, and what waits for one more from each."""
    ended, bad, counts = threading.Event(), list[Answer](), [0] * len(names)

    def send(at: int, name: str) -> None:
        with Wire(cold.port) as wire:
            while not ended.is_set():
                answer = wire.ask(f"/acme/models/{name}/v1", "POST", bearer(cold.token), b"{}")
                if answer.status != 200:
                    bad.append(answer)
                counts[at] += 1

    def advance() -> None:
        sent = list(counts)
        wait_until(lambda: all(now > was for now, was in zip(counts, sent, strict=True)), "more answers")

    clients = [threading.Thread(target=send, args=each, daemon=True) for each in enumerate(names)]
    for each in clients:
        each.start()
    try:
        yield bad, advance
    finally:
        ended.set()
        for each in clients:
            each.join()


def _responses(cold: Cold) -> dict[str, int]:
    """How many responses of each type the Envoy was sent."""
    (node,) = cold.serving.ask("/nodes")["nodes"]
    (stream,) = node["streams"]
    return {kind: each["responses"] for kind, each in stream["types"].items()}


def _sent(cold: Cold, change: Callable[[], None]) -> dict[str, int]:
    """How many responses of each type a change, and all that follows from it, is."""
    cold.settle()
    wait_until(cold.serving.calm, "nothing waits to be taken away")
    before = _responses(cold)
    change()
    cold.settle()
    wait_until(cold.serving.calm, "nothing waits to be taken away")
    return {kind: more for kind, count in _responses(cold).items() if (more := count - before.get(kind, 0))}


def _is_unavailable(answer: Answer) -> bool:
    assert (answer.status, answer.code) == (503, "CONTROL_PLANE_UNAVAILABLE")
    assert answer.header("retry-after") == "1"
    assert answer.header("content-type") == "application/json; charset=utf-8"
    error = answer.json()["error"]
    assert (error["status"], error["retryable"], error["origin"]) == (503, True, "gateway")
    assert error["request_id"] == answer.header("x-request-id") != ""
    return True


def test_an_envoy_that_was_asked_nothing_has_nothing_of_a_model(cold: Cold) -> None:
    for at in range(30):
        cold.write(f"idle-{at}", "one")
    cold.write("idle-warm", "two", warm=True)
    assert cold.held("ScopedRouteConfiguration") >= {f"acme/models/idle-{at}" for at in range(30)}
    assert cold.held("Cluster") == cold.clusters() == {"acme/models/idle-warm/production/two"}
    assert cold.held("RouteConfiguration") == {"acme/models/idle-warm"}
    assert cold.held("ClusterLoadAssignment") == {"acme/models/idle-warm/production/two"}


def test_the_first_request_is_served_and_brings_what_it_needs(cold: Cold) -> None:
    cold.write("first", "one")
    assert cold.served("first") == "one"
    assert "acme/models/first/production/one" in cold.clusters()
    sent = _sent(cold, lambda: cold.ask("first") and None)
    assert sent == {}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "HEAD"])
def test_the_first_request_is_served_whatever_it_is(cold: Cold, method: str) -> None:
    name = f"first-{method.lower()}"
    cold.write(name, "one")
    with cold.upstreams.watch() as seen:
        with Wire(cold.port) as wire:
            answer = wire.ask(f"/acme/models/{name}/a/b?c=%20", method, bearer(cold.token))
        assert answer.status == 200
    assert [each.line for each in seen] == [f"{method} /a/b?c=%20 HTTP/1.1"]


def test_a_large_first_body_arrives_whole(cold: Cold) -> None:
    cold.write("large", "one")
    cold.write("large-chunked", "one")
    answer = cold.ask("large", "POST", LARGE)
    assert (answer.status, answer.json()["digest"]) == (200, sha256(LARGE).hexdigest())
    headers = [*bearer(cold.token), ("Transfer-Encoding", "chunked")]
    with Wire(cold.port) as wire:
        wire.send(
            write_request("/acme/models/large-chunked", "PUT", [*headers, ("Content-Length", "")]).replace(
                b"Content-Length: \r\n", b""
            )
        )
        wire.send(_chunked(LARGE))
        answer = wire.read()
    assert (answer.status, answer.json()["digest"]) == (200, sha256(LARGE).hexdigest())


def test_first_requests_that_come_together_are_all_served(cold: Cold) -> None:
    cold.write("together", "one")
    request = write_request("/acme/models/together", headers=bearer(cold.token))
    wires = [Wire(cold.port) for _ in range(20)]
    for wire in wires:
        wire.send(request)
    assert [wire.read().status for wire in wires] == [200] * 20
    for wire in wires:
        wire.socket.close()


def test_every_environment_is_there_with_the_first_request(cold: Cold) -> None:
    deployments = {"production": cold.revisions("one"), "development": cold.revisions("two")}
    cold.save(lambda: write(cold.folder, "acme/both.yaml", [workload("both", "acme", deployments)]))
    assert cold.served("both?environment=development") == "two"
    assert cold.served("both") == "one"
    assert cold.served("both?environment=elsewhere") == "DEPLOYMENT_NOT_FOUND"


def test_revisions_share_the_requests_from_the_first_on(cold: Cold) -> None:
    cold.write("shared", "one", "two", "three")
    assert cold.ask("shared").status == 200
    assert {cold.served("shared") for _ in range(60)} == {"one", "two", "three"}


def test_backends_with_names_and_certificates_are_reached_with_the_first_request(cold: Cold) -> None:
    certificates = Certificates.make()
    secure = cold.upstreams.serve("secure", certificates.server("models.internal.test"))
    put(cold.folder / "certs/ca.pem", certificates.authority)
    tls = {"sni": "models.internal.test", "ca": "../certs/ca.pem"}
    backends = {
        "named": backend(PARIS, f"localhost:{cold.upstreams['one'].port}"),
        "encrypted": backend(PARIS, f"https://127.0.0.1:{secure.port}", tls=tls),
    }
    models = [
        workload(name, "acme", {"production": [revision("v1", each)]}) for name, each in backends.items()
    ]
    cold.save(lambda: write(cold.folder, "acme/far.yaml", models))
    scopes = {f"acme/models/{name}" for name in backends}
    # The certificate was a change of its own.
    wait_until(lambda: cold.held("ScopedRouteConfiguration") >= scopes, "both models are known")
    cold.settle()
    assert not {"acme/models/named/production/v1", "acme/models/encrypted/production/v1"} & cold.clusters()
    assert (cold.served("named"), cold.served("encrypted")) == ("one", "secure")


def test_a_first_request_may_be_slow_and_its_answer_too(hasty: Cold) -> None:
    """Longer than a route may take to come: that time is over once the route is there."""
    for name in ("slow-answer", "slow-upload", "slow-socket"):
        hasty.write(name, "three")
    headers = bearer(hasty.token)
    upgrade = [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13")]
    pause = threading.Event()
    with Wire(hasty.port) as answer, Wire(hasty.port) as upload, Wire(hasty.port) as socket:
        answer.send(write_request("/acme/models/slow-answer/stream", headers=headers))
        upload.send(
            write_request("/acme/models/slow-upload", "POST", [*headers, ("Content-Length", "3")], b"a")
        )
        key = ("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==")
        socket.send(write_request("/acme/models/slow-socket/socket", headers=[*headers, *upgrade, key]))
        assert answer.head()[0] == 200
        assert socket.head()[0] == 101
        for rest in (b"b", b"c"):
            pause.wait(2.5)
            upload.send(rest)
        assert upload.read().json()["length"] == 3
        hasty.upstreams["three"].feed(b"data: late\n\n")
        assert answer.chunk() == b"data: late\n\n"
        hasty.upstreams["three"].feed(None)
        assert answer.chunk() == b""
        socket.send(b"\x81\x82\0\0\0\0hi")
        assert socket.exactly(4) == b"\x81\x02hi"
        # And the same once more, now that the route is known from the beginning.
        upload.send(
            write_request("/acme/models/slow-upload", "POST", [*headers, ("Content-Length", "2")], b"a")
        )
        pause.wait(2.5)
        upload.send(b"b")
        assert upload.read().json()["length"] == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_access_rules_hold_for_the_very_first_request(cold: Cold, method: str) -> None:
    name = f"admins-{method.lower()}"
    access = {"claims": [{"claim": "role", "anyOf": ["admin"]}]}
    cold.write(name, "one", access=access)
    body = b"{}" if method == "POST" else b""
    with cold.upstreams.watch() as seen:
        assert cold.ask(name, method, body).code == "FORBIDDEN"
        assert cold.ask(name, method, body).code == "FORBIDDEN"
    assert seen == []
    admin = bearer(cold.issuer.token("acme", role="admin"))
    assert ask(cold.port, f"/acme/models/{name}", method, admin, body).status == 200


def test_who_may_not_know_of_a_model_has_nothing_fetched(cold: Cold) -> None:
    cold.write("secret", "one")
    before = cold.held("RouteConfiguration"), cold.clusters()
    foreign, expired = cold.issuer.token("beta"), cold.issuer.token("acme", exp=1)
    path = "/acme/models/secret"
    assert ask(cold.port, path).code == "AUTHENTICATION_REQUIRED"
    assert ask(cold.port, path, headers=bearer(expired)).code == "AUTHENTICATION_FAILED"
    assert ask(cold.port, path, "POST", bearer(foreign), b"{}").code == "FORBIDDEN"
    assert ask(cold.port, "/beta/models/llama", headers=bearer(cold.token)).code == "FORBIDDEN"
    assert cold.served("unknown") == "MODEL_NOT_FOUND"
    assert cold.ask("secret?environment=a&environment=b").code == "BAD_REQUEST"
    cold.settle()
    assert (cold.held("RouteConfiguration"), cold.clusters()) == before
    assert cold.served("secret") == "one"


def test_a_change_sends_what_it_changed_of_what_is_there(cold: Cold) -> None:
    cold.write("changing", "one")
    cold.write("sleeping", "one")
    assert cold.served("changing") == "one"
    assert _sent(cold, lambda: cold.write("sleeping", "two", "three")) == {}
    access = {"claims": [{"claim": "role", "anyOf": ["member"]}]}
    only_route = _sent(cold, lambda: cold.write("changing", "one", access=access))
    assert only_route == {"RouteConfiguration": 1}
    renewed = _sent(cold, lambda: cold.write("changing", "two", access=access))
    assert renewed == {"Cluster": 2, "ClusterLoadAssignment": 1, "RouteConfiguration": 1}
    assert cold.served("changing") == "two"
    assert _sent(cold, lambda: cold.write("another", "one")) == {"ScopedRouteConfiguration": 1}


def test_a_new_revision_meets_no_error(cold: Cold) -> None:
    cold.write("busy", "one")
    with _traffic(cold, "busy", "busy") as (bad, advance):
        for labels in (["one", "two"], ["two"], ["two", "three"], ["three"], ["one"]):
            advance()
            cold.write("busy", *labels)
        advance()
        wait_until(cold.serving.calm, "the last revision's clusters are gone")
        advance()
    assert bad == []
    assert {each for each in cold.clusters() if "/busy/" in each} == {"acme/models/busy/production/one"}


def test_a_model_that_is_deleted_is_gone_and_its_cluster_too(cold: Cold) -> None:
    cold.write("going", "one")
    assert cold.served("going") == "one"
    cold.remove("going")
    assert cold.served("going") == "MODEL_NOT_FOUND"
    wait_until(lambda: "acme/models/going/production/one" not in cold.clusters(), "its cluster is gone")
    assert "acme/models/going" not in cold.held("RouteConfiguration")
    cold.write("going", "two")
    assert cold.served("going") == "two"


def test_a_model_that_becomes_warm_is_there_and_one_that_becomes_cold_goes(cold: Cold) -> None:
    cluster = "acme/models/turning/production/one"
    cold.write("turning", "one")
    assert cluster not in cold.clusters()
    cold.write("turning", "one", warm=True)
    wait_until(lambda: cluster in cold.clusters(), "the warm model's cluster is here")
    cold.write("turning", "one")
    wait_until(lambda: cluster not in cold.clusters(), "the cold model's cluster is gone")
    assert cold.served("turning") == "one"


def test_without_a_control_plane_what_is_there_is_served_and_the_rest_told_so(hasty: Cold) -> None:
    hasty.write("used", "one")
    hasty.write("ready", "two", warm=True)
    for name in ("unused", "unused-post", "unused-upload"):
        hasty.write(name, "three")
    assert hasty.served("used") == "one"
    hasty.serving.kill()
    try:
        assert (hasty.served("used"), hasty.served("ready")) == ("one", "two")
        assert _is_unavailable(hasty.ask("unused"))
        assert _is_unavailable(hasty.ask("unused"))
        assert _is_unavailable(hasty.ask("unused-post", "POST", LARGE[:100_000]))
        with Wire(hasty.port) as wire:
            headers = [*bearer(hasty.token), ("Content-Length", "3")]
            wire.send(write_request("/acme/models/unused-upload", "POST", headers, b"a"))
            assert _is_unavailable(wire.read())
        assert hasty.served("unknown") == "MODEL_NOT_FOUND"
        assert ask(hasty.port, "/acme/models/unused").code == "AUTHENTICATION_REQUIRED"
        assert (hasty.served("used"), hasty.served("ready")) == ("one", "two")
    finally:
        hasty.serving.start()
    hasty.settle()
    assert hasty.ask("unused-post", "POST", b"{}").json()["upstream"] == "three"
    assert [hasty.served(name) for name in ("unused", "unused-upload", "used", "ready")] == [
        *("three", "three", "one", "two")
    ]


def test_a_control_plane_that_comes_back_with_the_same_sends_nothing(cold: Cold) -> None:
    cold.write("steady", "one")
    cold.write("steady-later", "two")
    assert cold.served("steady") == "one"
    wait_until(cold.serving.calm, "nothing waits to be taken away")
    clusters, counts = cold.clusters(), "cluster_(added|modified|removed|updated)|listener_(added|modified)"
    before = cold.envoy.stats(counts)
    with _traffic(cold, "steady") as (bad, advance):
        cold.serving.kill()
        advance()
        cold.serving.start()
        cold.settle()
        wait_until(cold.serving.calm, "nothing waits to be taken away")
        advance()
        assert (cold.clusters(), cold.envoy.stats(counts)) == (clusters, before)
    assert bad == []
    assert cold.served("steady-later") == "two"


def test_a_model_that_nobody_read_since_a_restart_is_served_with_its_first_request(cold: Cold) -> None:
    cold.write("unread", "one")
    cold.write("unread-changed", "two")
    cold.serving.end()
    cold.put("unread-changed", "three")
    before = cold.serving.log.count("going on from what the last process knew")
    cold.serving.start()
    cold.settle()
    assert cold.serving.log.count("going on from what the last process knew") == before + 1
    assert cold.served("unread") == "one"
    assert cold.served("unread-changed") == "three"


def test_a_control_plane_that_comes_back_with_changes_is_followed(cold: Cold) -> None:
    names = ("kept", "moved", "renewed", "dropped", "cooled")
    for name in names:
        cold.write(f"back-{name}", "one", warm=name == "cooled")
    cold.settle()
    cold.write("back-cold", "one")
    assert [cold.served(f"back-{name}") for name in names] == ["one"] * 5
    with _traffic(cold, "back-kept", "back-moved", "back-renewed", "back-cooled") as (bad, advance):
        cold.serving.kill()
        cold.put("back-moved", "two")
        cold.put("back-renewed", "one", access={"claims": [{"claim": "role", "anyOf": ["member"]}]})
        cold.put("back-cold", "three")
        cold.put("back-cooled", "one")
        cold.put("back-added", "two")
        (cold.folder / "acme/back-dropped.yaml").unlink()
        assert (cold.served("back-dropped"), cold.served("back-added")) == ("one", "MODEL_NOT_FOUND")
        cold.serving.start()
        cold.settle()
        # An Envoy may ask for its models' routes a moment after all else is acknowledged.
        now = ["one", "two", "one", "MODEL_NOT_FOUND", "one"]
        wait_until(lambda: [cold.served(f"back-{name}") for name in names] == now, "the changes are there")
        advance()
        assert (cold.served("back-cold"), cold.served("back-added")) == ("three", "two")
        wait_until(cold.serving.calm, "nothing waits to be taken away")
        advance()
    assert bad == []
    gone = {"acme/models/back-dropped/production/one", "acme/models/back-moved/production/one"}
    assert not gone & cold.clusters()


def test_a_delivery_that_changes_meets_no_error(hasty: Cold) -> None:
    """Neither on connections from before, nor for answers that are slow while it changes; no listener is touched."""
    fleet = (hasty.folder / "fleet.yaml").read_text()
    eager = fleet.replace("delivery: on-demand", "delivery: eager")
    assert eager != fleet
    hasty.write("through", "one")
    hasty.write("untouched", "two")
    headers = bearer(hasty.token)
    slow = write_request("/acme/models/through/silence", headers=headers)
    before = hasty.envoy.stats("listener_manager.listener_(added|modified|in_place)")
    with _traffic(hasty, "through") as (bad, advance), ExitStack() as open_:
        waiting = []
        kept = open_.enter_context(Wire(hasty.port))
        for text, there in ((eager, True), (fleet, False)):
            advance()
            with _every(
                0.01, lambda: len(waiting) < _SLOW and waiting.append(_send(open_, hasty.port, slow))
            ):
                hasty.save(partial(put, hasty.folder / "fleet.yaml", text))
            # Longer than a route may take to come.
            wait_until(hasty.serving.calm, "nothing waits to be taken away")
            advance()
            wait_until(
                lambda there=there: ("acme/models/untouched/production/two" in hasty.clusters()) is there,
                "what nobody asked for comes and goes",
            )
            assert kept.ask("/acme/models/untouched", headers=headers).status == 200
            wait_until(
                lambda: hasty.upstreams["one"].busy >= len(waiting), "all slow requests are with the model"
            )
        assert [wire for wire in waiting if _was_answered(wire)] == []
    assert bad == []
    assert hasty.envoy.stats("listener_manager.listener_(added|modified|in_place)") == before


def _send(open_: ExitStack, port: int, request: bytes) -> Wire:
    wire = open_.enter_context(Wire(port))
    wire.send(request)
    return wire


def _was_answered(wire: Wire) -> bool:
    wire.socket.setblocking(False)
    try:
        wire.socket.recv(1, MSG_PEEK)
    except BlockingIOError:
        return False
    return True


@contextmanager
def _every(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    """Do something again and again meanwhile."""
    ended = threading.Event()

    def repeat() -> None:
        while not ended.wait(seconds):
            act()

    thread = threading.Thread(target=repeat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_a_model_that_takes_too_long_is_told_from_a_control_plane_that_does(
    tmp_path: Path,
) -> None:
    """Both run into a limit of the whole stream: before the route is known, and after."""
    with run_cold(tmp_path, timeouts={"coldStart": "2s", "total": "3s"}) as cold:
        cold.write("silent", "one")
        started = time.monotonic()
        for _ in ("first", "second"):
            answer = ask(cold.port, "/acme/models/silent/silence", "POST", bearer(cold.token), b"{}")
            assert (answer.status, answer.code) == (504, "UPSTREAM_TIMEOUT")
        assert time.monotonic() - started > 5
        with Wire(cold.port) as wire:
            headers = [*bearer(cold.token), ("Content-Length", "9")]
            wire.send(write_request("/acme/models/silent", "PUT", headers, b"part"))
            assert wire.read().code == "REQUEST_TIMEOUT"
        cold.write("unused", "one")
        cold.serving.kill()
        assert _is_unavailable(cold.ask("unused"))
        cold.serving.start()
        cold.settle()
        assert cold.served("unused") == "one"
