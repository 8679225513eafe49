"""Revisions without a backend, through the real Envoy: requests wait, somebody is told, and they are served."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.e2e.fleet import make_member
from tests.e2e.hook import Hook
from tests.e2e.manifest import backend, manifest, put, write
from tests.e2e.moving import GATEWAY, MODEL, Moving, run_moving
from tests.e2e.wire import Answer, ask, bearer
from tests.e2e.world import PARIS, VIRGINIA
from tests.envoy_process import free_port, wait_until

pytestmark = pytest.mark.envoy

TOKEN = "open sesame"
NODE = f"{GATEWAY}-{PARIS}"
LARGE = b"0123456789abcdef" * 196_608
"""3 MB: more than Envoy holds of a request that waits."""
ASLEEP = {"name": "v1", "registration": {"ttl": "600s"}}


@dataclass
class Zero:
    """A fleet with a model that scales from zero, and its wake hook."""

    moving: Moving
    hook: Hook
    registration: int
    clients: ThreadPoolExecutor

    def declare(
        self, *revisions: dict[str, Any], hold: str = "40s", every: str = "600s", **more: Any
    ) -> None:
        """Declare the model anew, with nobody registered and nothing told."""
        registered = self.moving.serving.ask("/registrations")["registrations"]
        for each in registered:
            self.send("DELETE", each["revision"], location=each["location"], address=each["address"])
        self.wait(lambda: {each["revision"] for each in registered} <= self.asleep(), "nobody is registered")
        self.hook.told.clear()
        self.hook.tokens.clear()
        self.hook.status, self.hook.refused = 200, 0
        wake = {"url": self.hook.url, "every": every, "timeout": "2s"}
        scaling = {"wake": wake, "hold": hold, "retryAfter": "7s"}
        named = list(revisions or [ASLEEP])
        self.moving.write(revisions=named, scaleFromZero=scaling, **more)
        awake = {f"{MODEL}/production/{each['name']}" for each in named if "backends" in each}
        self.wait(lambda: self.clusters() <= awake, "nothing else is there")

    def ask(self, body: bytes = b"{}", headers: Any = (), port: int | None = None) -> Future[Answer]:
        """Send a request, and go on."""
        port = port or self.moving.ports[PARIS]
        sent = [*bearer(self.moving.token), *headers]
        return self.clients.submit(ask, port, f"/{MODEL}/v1", "POST", sent, body)

    def send(self, method: str, revision: str, **body: str) -> None:
        url = f"http://127.0.0.1:{self.registration}/v1/endpoints/{MODEL}/production/{revision}"
        token = {"authorization": f"Bearer {TOKEN}"}
        answer = httpx.request(method, url, json=body, headers=token, trust_env=False, timeout=20)
        assert answer.status_code == 200, answer.text

    def register(self, label: str, revision: str = "v1", location: str = PARIS, method: str = "PUT") -> None:
        self.send(method, revision, location=location, address=self.moving.upstreams[label].address)

    def waiting(self, revision: str = "v1") -> bool:
        """Whether the control plane knows of requests that wait for a revision."""
        wakes = self.moving.serving.ask("/wakes")["wakes"]
        return any(each["waiting"] is not None for each in wakes if each["revision"] == revision)

    def asleep(self) -> set[str]:
        """The revisions without a backend in what is served."""
        return {each["revision"] for each in self.moving.serving.ask("/wakes")["wakes"]}

    def clusters(self) -> set[str]:
        lines = self.moving.envoys[NODE].get("/clusters").text.splitlines()
        return {name for line in lines if (name := line.partition("::")[0]).startswith("acme/")}

    def wait(self, condition: Callable[[], Any], what: str) -> None:
        wait_until(condition, what)


@pytest.fixture(scope="module", params=["eager", "on-demand"])
def zero(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Zero]:
    root, port = tmp_path_factory.mktemp("zero"), free_port()
    token = root / "token"
    token.touch(0o600)
    token.write_text(f"{TOKEN}\n")
    options = ("--registration", f"127.0.0.1:{port}", "--registration-token", str(token))
    with ExitStack() as running:
        hook = running.enter_context(Hook())
        moving = running.enter_context(run_moving(root, options=options, delivery=request.param))
        clients = running.enter_context(ThreadPoolExecutor(40))
        for label in ("one", "two"):
            moving.upstreams.serve(label)
        europe = manifest(
            "Policy", "europe", "acme", type="location", locations=[{"type": "continent", "name": "eu"}]
        )
        moving.save(lambda: write(moving.folder, "acme/europe.yaml", [europe]))
        moving.write(revisions=[ASLEEP])
        yield Zero(moving, hook, port, clients)


def served(answer: Answer) -> str:
    assert answer.status == 200, answer
    return str(answer.json()["upstream"])


def test_a_request_waits_until_a_backend_registers_and_arrives_whole(zero: Zero) -> None:
    zero.declare()
    assert not zero.clusters()
    answer = zero.ask(LARGE)
    zero.wait(zero.waiting, "the control plane knows that it waits")
    zero.wait(lambda: zero.hook.told, "the hook is told")
    assert zero.hook.told == [
        {
            "path": MODEL,
            "environment": "production",
            "revision": "v1",
            "region": PARIS,
            "reason": "no-backend",
        }
    ]
    assert zero.hook.tokens == [None]
    assert not answer.done()
    zero.register("one")
    got = answer.result(60)
    assert served(got) == "one"
    assert got.json()["digest"] == sha256(LARGE).hexdigest()
    assert got.json()["line"] == "POST /v1 HTTP/1.1"
    # From now on it is a revision like any other.
    assert served(zero.ask().result(60)) == "one"
    zero.wait(lambda: not zero.asleep(), "nobody is asleep for the control plane either")


def test_many_that_wait_are_one_wake(zero: Zero) -> None:
    zero.declare()
    answers = [zero.ask() for _ in range(24)]
    zero.wait(lambda: zero.hook.told, "the hook is told")
    time.sleep(0.5)  # nothing more is to come
    assert len(zero.hook.told) == 1
    zero.register("one")
    assert {served(each.result(60)) for each in answers} == {"one"}
    assert len(zero.hook.told) == 1


def test_who_has_waited_long_enough_is_told_when_to_come_back(zero: Zero) -> None:
    zero.declare(hold="5s", every="1s")
    began = time.monotonic()
    answer = zero.ask().result(60)
    assert 4.9 <= time.monotonic() - began < 20
    assert (answer.status, answer.code, answer.header("retry-after")) == (503, "SCALING_FROM_ZERO", "7")
    assert answer.json()["error"]["retryable"] is True
    zero.wait(lambda: not zero.waiting(), "nobody waits any more")
    told = len(zero.hook.told)
    assert told >= 2, "once more while it waited"
    # Who comes back waits again, and is heard of again.
    again = zero.ask()
    zero.wait(lambda: len(zero.hook.told) > told, "the hook is told of the next one")
    zero.register("one")
    assert served(again.result(60)) == "one"


def test_a_hook_that_fails_is_told_again_and_holds_up_nothing(zero: Zero) -> None:
    zero.declare()
    zero.hook.status = 500
    answer = zero.ask()
    zero.wait(lambda: zero.hook.refused >= 2, "it is told again")
    zero.hook.status = 204
    zero.wait(lambda: zero.hook.told, "it took it")
    zero.hook.status = 500
    zero.register("one")
    assert served(answer.result(60)) == "one"
    assert "wake hook failed" in zero.moving.serving.log


def test_a_request_waits_on_while_the_control_plane_restarts(zero: Zero) -> None:
    zero.declare()
    zero.hook.status = 500
    answer = zero.ask()
    zero.wait(zero.waiting, "the control plane knows that it waits")
    zero.moving.serving.kill()
    zero.hook.status = 200
    zero.moving.serving.start()
    # It says so anew when it is back: the hook is told by a process that had not heard of it.
    zero.wait(lambda: zero.hook.told, "the hook is told")
    zero.register("one")
    assert served(answer.result(60)) == "one"
    # It does not say so again once it was served.
    zero.register("one", method="DELETE")
    zero.wait(lambda: not zero.clusters(), "the cluster is gone")
    told = len(zero.hook.told)
    zero.moving.serving.kill()
    zero.moving.serving.start()
    zero.moving.settle()
    later = zero.ask()
    zero.wait(lambda: len(zero.hook.told) == told + 1, "only who waits is told of")
    zero.register("one")
    assert served(later.result(60)) == "one"
    assert len(zero.hook.told) == told + 1


def test_back_to_zero_harms_nothing_in_progress(zero: Zero) -> None:
    zero.declare()
    zero.register("one")
    assert served(zero.ask().result(60)) == "one"
    stream = zero.clients.submit(
        ask,
        zero.moving.ports[PARIS],
        f"/{MODEL}/stream",
        "POST",
        bearer(zero.moving.token),
        b"{}",
    )
    one = zero.moving.upstreams["one"]
    one.feed(b"first")
    zero.wait(lambda: one.busy, "it answers")
    zero.register("one", method="DELETE")
    zero.wait(lambda: not zero.clusters(), "the cluster is gone")
    waiting = zero.ask()
    zero.wait(lambda: zero.hook.told, "the next request waits")
    one.feed(b"last")
    one.feed(None)
    answer = stream.result(60)
    assert (answer.status, answer.body) == (200, b"firstlast")
    assert not waiting.done()
    zero.register("two")
    assert served(waiting.result(60)) == "two"


def test_of_two_revisions_only_the_one_without_a_backend_waits(zero: Zero) -> None:
    one = zero.moving.upstreams["one"].address
    awake = {"name": "v1", "weight": 50, "backends": [backend(PARIS, one)]}
    zero.declare(awake, {**ASLEEP, "name": "v2", "weight": 50})
    # That all of so many meet one of them is not to be expected in ten thousand million runs.
    answers = [zero.ask() for _ in range(36)]
    zero.wait(lambda: zero.waiting("v2"), "some of them wait")
    zero.wait(lambda: any(each.done() for each in answers), "others do not")
    zero.register("two", "v2")
    labels = {served(each.result(60)) for each in answers}
    assert labels == {"one", "two"}
    assert [each["revision"] for each in zero.hook.told] == ["v2"]


def test_a_backend_where_policy_forbids_it_is_none(zero: Zero) -> None:
    zero.declare()
    zero.register("one", location=VIRGINIA)
    zero.wait(zero.clusters, "it serves")
    wake = {"url": zero.hook.url, "every": "600s"}
    scaling = {"wake": wake, "hold": "40s"}
    zero.moving.write(revisions=[ASLEEP], scaleFromZero=scaling, policies=["europe"])
    zero.wait(lambda: not zero.clusters(), "it does no longer")
    answer = zero.ask()
    zero.wait(lambda: zero.hook.told, "the request waits")
    zero.register("two")
    assert served(answer.result(60)) == "two"


def test_who_may_not_call_wakes_nobody(zero: Zero) -> None:
    zero.declare()
    rule = {"claims": [{"claim": "role", "anyOf": ["nobody-has-it"]}]}
    path = zero.moving.folder / "acme/llama.yaml"
    text = path.read_text()
    zero.moving.save(lambda: _restrict(path, rule))
    try:
        refused = zero.ask().result(60)
        assert (refused.status, refused.code) == (403, "FORBIDDEN")
        stranger = ask(zero.moving.ports[PARIS], f"/{MODEL}", "POST", (), b"{}")
        assert (stranger.status, stranger.code) == (401, "AUTHENTICATION_REQUIRED")
        time.sleep(1)  # twice as long as an Envoy takes to say that somebody waits
        assert not zero.waiting()
        assert zero.hook.told == []
    finally:
        zero.moving.save(lambda: put(path, text))


def _restrict(path: Path, rule: dict[str, Any]) -> None:
    [declared] = yaml.safe_load_all(path.read_text())
    declared["spec"]["access"] = rule
    write(path.parent, path.name, [declared])


def test_an_envoy_that_cannot_let_requests_wait_answers_at_once(zero: Zero, tmp_path: Path) -> None:
    """One that is sent the state of the world: it has the cluster, without endpoints."""
    zero.declare()
    port = free_port()
    listener = {"name": "run", "address": "127.0.0.1", "port": port}
    fleet = zero.moving.folder / "plain.yaml"
    zero.moving.save(
        lambda: write(fleet.parent, fleet.name, [manifest("Gateway", "plain", listeners=[listener])])
    )
    try:
        xds = zero.moving.serving.xds_port
        with make_member(tmp_path, "plain", PARIS, xds, "sotw") as envoy:
            envoy.wait_ready()
            zero.wait(lambda: zero.moving.serving.settled(envoys={"plain": envoy}), "it has all there is")
            answer = zero.ask(port=port).result(60)
            assert (answer.status, answer.code, answer.header("retry-after")) == (
                503,
                "SCALING_FROM_ZERO",
                "7",
            )
            zero.wait(lambda: zero.hook.told, "the hook is told all the same")
            zero.register("one")
            zero.wait(lambda: zero.ask(port=port).result(60).status == 200, "it serves")
    finally:
        zero.moving.save(fleet.unlink)
