"""Shadow traffic: a marked copy for a revision outside the split, which nobody who asks notices."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from hashlib import sha256
from math import sqrt
from time import monotonic

import pytest

from tests.e2e.crossing import GATEWAYS, Crossing, run_crossing
from tests.e2e.manifest import backend, manifest, put, revision
from tests.e2e.upstream import Seen
from tests.e2e.wire import Wire, bearer
from tests.e2e.world import PARIS, VIRGINIA
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

_TESTERS = {"claims": [{"claim": "role", "anyOf": ["tester"]}]}


@pytest.fixture(scope="module")
def crossing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crossing]:
    with (
        socket.create_server(("127.0.0.1", 0), backlog=256) as silence,
        run_crossing(tmp_path_factory.mktemp("shadow")) as running,
    ):
        made, deploy = running.revision, running.deploy
        split = [made("v1", 1), made("v2", 1), made("v3", 0)]
        running.put("all", deploy(*split, shadow={"revision": "v3"}, testers=_TESTERS))
        running.put("some", deploy(made("v1", 1), made("v3", 0), shadow={"revision": "v3", "percent": 25}))
        running.put("none", deploy(*split))
        dead = revision("v3", backend(PARIS, running.upstreams.dead()), weight=0)
        running.put("dead", deploy(made("v1", 1), dead, shadow={"revision": "v3"}))
        # It takes connections, by the kernel's backlog, and never answers.
        silent = revision("v3", backend(PARIS, f"127.0.0.1:{silence.getsockname()[1]}"), weight=0)
        running.put("hanging", deploy(made("v1", 1), silent, shadow={"revision": "v3"}))
        put(running.folder / "acme/secrets/key", "sk-main")
        secret = {"credentials": {"file": "secrets/key"}}
        plain = made("v3", 0)
        running.put("keyed", deploy(made("v1", 1, **secret), plain, shadow={"revision": "v3"}))
        yield running


def _copy(crossing: Crossing, before: int, target: str) -> Seen:
    """The one copy of a request for a target; those of others come when they come."""
    shadow = crossing.upstreams["v3"]

    def find() -> list[Seen]:
        return [each for each in shadow.seen[before:] if each.target == target]

    wait_until(find, "the copy arrives")
    [copy] = find()
    return copy


@pytest.mark.parametrize("gateway", GATEWAYS)
def test_the_copy_is_marked_and_carries_no_token(crossing: Crossing, gateway: str) -> None:
    """Also the first request for a model that this Envoy has never been asked for."""
    before = len(crossing.upstreams["v3"].seen)
    forged = [("X-Fairlead-Shadow", "true"), ("x-fairlead-shadow", "x")]
    answer = crossing.ask("all/v1/chat?a=%20", [*bearer(crossing.token), *forged], gateway)
    assert answer.json()["upstream"] in ("v1", "v2")
    assert "x-fairlead-shadow" not in str(answer.json()["headers"]).lower()
    copy = _copy(crossing, before, "/v1/chat?a=%20")
    assert copy.header("x-fairlead-shadow") == "true"
    assert copy.header("x-fairlead-revision") == "v3"
    assert copy.header("x-fairlead-model") == "all"
    assert copy.header("host") == "run.example.test"
    assert crossing.token not in str(copy.headers)
    assert copy.header("authorization") is None
    assert [
        name for name, _ in copy.headers if name.startswith(("x-fairlead-path", "x-envoy-internal"))
    ] == []


def test_the_copy_has_none_of_the_others_credentials(crossing: Crossing) -> None:
    before = len(crossing.upstreams["v3"].seen)
    assert dict(crossing.ask("keyed/once").json()["headers"])["authorization"] == "sk-main"
    assert _copy(crossing, before, "/once").header("authorization") is None


def test_a_body_that_streams_is_copied_whole(crossing: Crossing) -> None:
    before = len(crossing.upstreams["v3"].seen)
    chunk = b"x" * 65536
    with Wire(crossing.ports["paris"]) as wire:
        head = f"POST /acme/models/all/streamed HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {crossing.token}\r\n"
        wire.send(head.encode() + b"transfer-encoding: chunked\r\n\r\n")
        for _ in range(64):
            wire.send(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        wire.send(b"0\r\n\r\n")
        answer = wire.read()
    assert answer.json()["length"] == 64 * len(chunk)
    copy = _copy(crossing, before, "/streamed")
    assert (copy.length, copy.digest) == (64 * len(chunk), sha256(chunk * 64).hexdigest())


def test_a_part_is_copied(crossing: Crossing) -> None:
    number = 600
    before, main = len(crossing.upstreams["v3"].seen), len(crossing.upstreams["v1"].seen)
    with crossing.connect("paris") as wire:
        for _ in range(number):
            assert wire.ask("/acme/models/some", headers=bearer(crossing.token)).status == 200
    assert len(crossing.upstreams["v1"].seen) - main == number
    # One that is surely copied comes after all of the others' copies have gone out.
    crossing.ask("all/last-of-some")
    _copy(crossing, before, "/last-of-some")
    copies = crossing.upstreams["v3"].seen[before:]
    copied = sum(copy.header("x-fairlead-model") == "some" for copy in copies)
    assert abs(copied / number - 0.25) < 6 * sqrt(0.25 * 0.75 / number)


def test_a_tester_who_chooses_is_not_copied(crossing: Crossing) -> None:
    tester = bearer(crossing.issuer.token("acme", role="tester"))
    before = len(crossing.upstreams["v3"].seen)
    assert crossing.ask("all/chosen?revision=v1", tester).json()["upstream"] == "v1"
    assert crossing.ask("none/never").status == 200
    crossing.ask("all/last-of-all")
    _copy(crossing, before, "/last-of-all")
    assert {copy.target for copy in crossing.upstreams["v3"].seen[before:]}.isdisjoint({"/chosen", "/never"})


@pytest.mark.parametrize("gateway", GATEWAYS)
@pytest.mark.parametrize("name", ["dead", "hanging"])
def test_a_dead_or_hanging_shadow_hurts_nobody(crossing: Crossing, gateway: str, name: str) -> None:
    started = monotonic()
    with crossing.connect(gateway) as wire:
        for _ in range(40):
            answer = wire.ask(f"/acme/models/{name}", "POST", bearer(crossing.token), b"x" * 10_000)
            assert (answer.status, answer.json()["length"]) == (200, 10_000)
    assert monotonic() - started < 30, "to wait for a connection each time would take longer"


def test_a_shadow_that_is_killed_meanwhile_hurts_nobody(crossing: Crossing) -> None:
    shadow = crossing.upstreams["v3"]
    try:
        with crossing.connect("paris") as wire:
            for at in range(40):
                if at == 10:
                    shadow.close()
                assert wire.ask("/acme/models/all", headers=bearer(crossing.token)).status == 200
    finally:
        shadow.open()


def test_the_shadow_keeps_to_what_policy_allows(crossing: Crossing) -> None:
    europe = {"type": "location", "locations": [{"type": "continent", "name": "eu"}]}
    at = crossing.upstreams["v3"].address
    shadow = revision("v3", backend(VIRGINIA, at), weight=0)
    bound = crossing.deploy(
        crossing.revision("v1", 1), shadow, shadow={"revision": "v3"}, policies=["europe"]
    )
    model = manifest("Model", "bound", "acme", deployments=[bound])
    crossing.write("bound", manifest("Policy", "europe", "acme", **europe), model)
    wait_until(lambda: crossing.control.newest.built.errors, "the shadow abroad is refused")
    assert [each.code for each in crossing.control.newest.built.errors] == ["no-allowed-place"]
    (crossing.folder / "acme/bound.yaml").unlink()
    wait_until(lambda: not crossing.control.newest.built.errors, "it is gone")
