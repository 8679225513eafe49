"""Changes while traffic flows: a saved file is all it takes, and nothing else is disturbed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.fleet import make_member
from tests.e2e.manifest import Manifest, backend, manifest, put, revision, workload, write
from tests.e2e.serving import Serving
from tests.e2e.tokens import AUDIENCE, TestIssuer
from tests.e2e.upstream import Upstreams
from tests.e2e.wire import Answer, Wire, ask, bearer, write_request
from tests.e2e.world import PARIS, VIRGINIA
from tests.envoy_process import EnvoyProcess, free_port, wait_until

pytestmark = pytest.mark.envoy

_CHANGES = 60
_CLIENTS = 2

# What moves in an Envoy when a listener or a cluster is changed.
_UPDATES = (
    *(
        "listener_manager.listener_added",
        "listener_manager.listener_modified",
        "listener_manager.listener_removed",
    ),
    *("listener_manager.listener_in_place_updated", "cluster_manager.cluster_added"),
    *(
        "cluster_manager.cluster_modified",
        "cluster_manager.cluster_removed",
        "listener_manager.lds.update_rejected",
    ),
    "cluster_manager.cds.update_rejected",
)


@dataclass(frozen=True)
class Fleet:
    """`fairlead serve` on a folder, two Envoys that follow it, and the models behind them."""

    folder: Path
    serving: Serving
    envoys: dict[str, EnvoyProcess]
    ports: dict[str, int]
    upstreams: Upstreams
    issuer: TestIssuer

    def save(self, change: Callable[[], None]) -> None:
        """Make a change to the folder, and wait until the whole fleet has it."""
        before = self.serving.generation()
        assert before is not None
        change()
        self.settle(before)

    def settle(self, after: int = -1) -> None:
        wait_until(
            lambda: self.serving.settled(after=after, envoys=self.envoys), "the fleet has what was saved"
        )

    def calm(self) -> None:
        """Wait until the removals of earlier changes are over."""
        wait_until(self.serving.calm, "nothing waits to be taken away")

    def write(self, file: str, *manifests: Manifest) -> None:
        self.save(lambda: write(self.folder, file, manifests))

    def remove(self, file: str) -> None:
        self.save((self.folder / file).unlink)

    def ask(self, path: str, *workspaces: str) -> list[Answer]:
        """The answers of both Envoys."""
        token = self.issuer.token(*(workspaces or ("acme", "beta")))
        return [ask(port, path, headers=bearer(token)) for port in self.ports.values()]

    def served(self, path: str) -> set[str]:
        """Which upstreams answer; a refusal is its status."""
        return {
            str(answer.json()["upstream"] if answer.status == 200 else answer.status)
            for answer in self.ask(path)
        }

    def received(self, name: str) -> dict[str, int]:
        """How often each kind of configuration was taken by an Envoy."""
        stats = self.envoys[name].stats("update_success")
        return {
            key: value for key, value in stats.items() if "control-plane" not in key
        }  # that one counts DNS

    def updates(self, prefix: str = "") -> dict[str, dict[str, int]]:
        """What has changed in each Envoy since it started, of listeners and clusters."""
        found = {}
        for name, envoy in self.envoys.items():
            stats = envoy.stats("manager")
            found[name] = {each: stats.get(each, 0) for each in _UPDATES if each.startswith(prefix)}
        return found


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    root = tmp_path_factory.mktemp("live")
    folder, issuer = root / "policies", TestIssuer.make("https://live.test")
    ports = {"delta": free_port(), "sotw": free_port()}
    put(folder / "keys/jwks.json", issuer.jwks())
    write(folder, "fleet.yaml", _fleet(ports, issuer))
    with ExitStack() as running:
        upstreams = running.enter_context(Upstreams())
        for name in ("one", "two", "beta"):
            upstreams.serve(name)
        for name in ("acme", "beta"):
            write(folder, f"{name}/workspace.yaml", [manifest("Workspace", name, issuers=["live"])])
        write(folder, "acme/steady.yaml", [_model(upstreams, "steady", "one")])
        write(folder, "beta/llama.yaml", [_model(upstreams, "llama", "beta", workspace="beta")])
        serving = running.enter_context(Serving(folder, root / "serve.log"))
        envoys = {
            "delta": make_member(root, "delta", PARIS, serving.xds_port, "delta"),
            "sotw": make_member(root, "sotw", VIRGINIA, serving.xds_port, "sotw"),
        }
        for envoy in envoys.values():
            running.enter_context(envoy)
        for envoy in envoys.values():
            envoy.wait_ready()
        made = Fleet(folder, serving, envoys, ports, upstreams, issuer)
        made.settle()
        yield made
        assert [stalls for envoy in envoys.values() if (stalls := envoy.stalls())] == []


def _fleet(ports: dict[str, int], issuer: TestIssuer) -> list[Manifest]:
    gateways = [
        manifest("Gateway", name, listeners=[{"name": "run", "address": "127.0.0.1", "port": port}])
        for name, port in ports.items()
    ]
    jwks = {"file": "keys/jwks.json"}
    return [*gateways, manifest("Issuer", "live", issuer=issuer.issuer, audiences=[AUDIENCE], jwks=jwks)]


def _model(upstreams: Upstreams, name: str, *labels: str, workspace: str = "acme", **more: Any) -> Manifest:
    """A model in production whose revisions are called like the upstreams that they lead to, all of one weight."""
    revisions = [revision(label, backend(PARIS, upstreams[label].address), weight=1) for label in labels]
    return workload(name, workspace, {"production": revisions}, **more)


def _lacks(envoy: EnvoyProcess, cluster: str) -> bool:
    return cluster not in envoy.get("/clusters").text


def _all_grew(counts: list[int], since: list[int]) -> bool:
    return all(now > was for now, was in zip(counts, since, strict=True))


def test_a_model_comes_changes_and_goes(fleet: Fleet) -> None:
    path = "/acme/models/fresh"
    assert fleet.served(path) == {"404"}
    fleet.write("acme/fresh.yaml", _model(fleet.upstreams, "fresh", "one"))
    assert fleet.served(path) == {"one"}
    fleet.write("acme/fresh.yaml", _model(fleet.upstreams, "fresh", "two"))
    assert fleet.served(path) == {"two"}
    fleet.write("acme/fresh.yaml", _model(fleet.upstreams, "fresh", "two", enabled=False))
    assert [answer.code for answer in fleet.ask(path)] == ["MODEL_NOT_FOUND"] * 2
    fleet.write("acme/fresh.yaml", _model(fleet.upstreams, "fresh", "one"))
    assert fleet.served(path) == {"one"}
    fleet.remove("acme/fresh.yaml")
    assert [answer.code for answer in fleet.ask(path)] == ["MODEL_NOT_FOUND"] * 2


def test_weights_change(fleet: Fleet) -> None:
    one, two = (backend(PARIS, fleet.upstreams[name].address) for name in ("one", "two"))
    for weights, served in [((1, 0), {"one"}), ((0, 1), {"two"}), ((1, 0), {"one"})]:
        revisions = [revision("one", one, weight=weights[0]), revision("two", two, weight=weights[1])]
        fleet.write("acme/weighed.yaml", workload("weighed", "acme", {"production": revisions}))
        for _ in range(10):
            assert fleet.served("/acme/models/weighed") == served
    fleet.remove("acme/weighed.yaml")


def test_an_environment_is_switched_off_and_the_default_moves(fleet: Fleet) -> None:
    path = "/acme/models/moving"
    one, two = (revision(name, backend(PARIS, fleet.upstreams[name].address)) for name in ("one", "two"))
    model = workload("moving", "acme", {"production": [one], "development": [two]})
    fleet.write("acme/moving.yaml", model)
    assert (fleet.served(path), fleet.served(f"{path}?environment=development")) == ({"one"}, {"two"})
    fleet.write(
        "acme/workspace.yaml",
        manifest("Workspace", "acme", issuers=["live"], defaultEnvironment="development"),
    )
    assert (fleet.served(path), fleet.served(f"{path}?environment=production")) == ({"two"}, {"one"})
    model["spec"]["deployments"][1]["enabled"] = False
    fleet.write("acme/moving.yaml", model)
    for query in ("", "?environment=development"):
        assert [answer.code for answer in fleet.ask(path + query)] == ["DEPLOYMENT_NOT_FOUND"] * 2
    assert fleet.served(f"{path}?environment=production") == {"one"}
    fleet.write("acme/workspace.yaml", manifest("Workspace", "acme", issuers=["live"]))
    assert fleet.served(path) == {"one"}
    fleet.remove("acme/moving.yaml")


def test_access_is_taken_away_on_an_open_connection(fleet: Fleet) -> None:
    """A workspace that no longer trusts the issuer is closed to its tokens, and open again when it does."""
    headers = bearer(fleet.issuer.token("beta"))
    before = fleet.updates("listener")
    with ExitStack() as open_:
        wires = [open_.enter_context(Wire(port)) for port in fleet.ports.values()]

        def statuses() -> list[int]:
            return [wire.ask("/beta/models/llama", headers=headers).status for wire in wires]

        assert statuses() == [200, 200]
        fleet.write("beta/workspace.yaml", manifest("Workspace", "beta", issuers=[]))
        assert statuses() == [403, 403]
        fleet.write("beta/workspace.yaml", manifest("Workspace", "beta", issuers=["live"]))
        assert statuses() == [200, 200]
    assert fleet.updates("listener") == before


def test_a_broken_workspace_stays_as_it_was_and_others_move_on(fleet: Fleet) -> None:
    good = (fleet.folder / "acme/steady.yaml").read_text()
    fleet.save(lambda: put(fleet.folder / "acme/steady.yaml", good.replace("revisions:", "revisons:")))
    assert fleet.served("/acme/models/steady") == {"one"}
    fleet.write("beta/other.yaml", _model(fleet.upstreams, "other", "two", workspace="beta"))
    assert fleet.served("/beta/models/other") == {"two"}
    fleet.write("acme/more.yaml", _model(fleet.upstreams, "more", "one"))
    assert fleet.served("/acme/models/more") == {"404"}  # the workspace stays whole, as it last was
    assert "acme/steady.yaml" in str(fleet.serving.ask("/readyz")["problems"])
    fleet.save(lambda: put(fleet.folder / "acme/steady.yaml", "kind: Model\nmetadata: {workspace: acme\n"))
    assert (fleet.served("/acme/models/steady"), fleet.served("/beta/models/other")) == ({"one"}, {"two"})
    fleet.save(lambda: put(fleet.folder / "acme/steady.yaml", good))
    assert (fleet.served("/acme/models/steady"), fleet.served("/acme/models/more")) == ({"one"}, {"one"})
    assert fleet.serving.ask("/readyz")["problems"] == {}
    fleet.remove("acme/more.yaml")
    fleet.remove("beta/other.yaml")


def test_new_keys_take_effect_on_an_open_connection(fleet: Fleet) -> None:
    """Both at first, then the new one alone; no listener is touched."""
    new = TestIssuer.make(fleet.issuer.issuer, "two")
    old_token, new_token = fleet.issuer.token("acme"), new.token("acme")
    both = fleet.issuer.jwks().removesuffix("]}") + ", " + new.jwks().removeprefix('{"keys": [')
    before = fleet.updates("listener")
    with ExitStack() as open_:
        wires = [open_.enter_context(Wire(port)) for port in fleet.ports.values()]

        def statuses(token: str) -> set[int]:
            return {wire.ask("/acme/models/steady", headers=bearer(token)).status for wire in wires}

        assert (statuses(old_token), statuses(new_token)) == ({200}, {401})
        for keys, old_status, new_status in [
            (both, 200, 200),
            (new.jwks(), 401, 200),
            (fleet.issuer.jwks(), 200, 401),
        ]:
            fleet.save(partial(put, fleet.folder / "keys/jwks.json", keys))
            assert (statuses(old_token), statuses(new_token)) == ({old_status}, {new_status})
    assert fleet.updates("listener") == before


def test_a_killed_control_plane_stops_no_traffic_and_comes_back_unnoticed(fleet: Fleet) -> None:
    fleet.settle()
    fleet.calm()
    before, received = fleet.updates(), fleet.received("delta")
    fleet.serving.kill()
    assert fleet.served("/acme/models/steady") == {"one"}
    fleet.serving.start()
    fleet.settle()
    assert fleet.served("/acme/models/steady") == {"one"}
    assert fleet.updates() == before
    assert fleet.received("delta") == received  # what it already has is not sent again


def test_what_changed_while_the_control_plane_was_away_is_made_up_for(fleet: Fleet) -> None:
    fleet.write("acme/going.yaml", _model(fleet.upstreams, "going", "one"))
    fleet.write("acme/changing.yaml", _model(fleet.upstreams, "changing", "one"))
    fleet.serving.kill()
    (fleet.folder / "acme/going.yaml").unlink()
    write(fleet.folder, "acme/changing.yaml", [_model(fleet.upstreams, "changing", "two")])
    write(fleet.folder, "acme/coming.yaml", [_model(fleet.upstreams, "coming", "one")])
    assert (fleet.served("/acme/models/going"), fleet.served("/acme/models/changing")) == ({"one"}, {"one"})
    assert fleet.served("/acme/models/coming") == {"404"}
    fleet.serving.start()
    fleet.settle()
    # An Envoy may ask for routes a moment after all else is acknowledged.
    for name, served in (("going", "404"), ("changing", "two"), ("coming", "one")):
        wait_until(
            lambda name=name, served=served: fleet.served(f"/acme/models/{name}") == {served},
            f"{name} is {served} everywhere",
        )
    fleet.remove("acme/changing.yaml")
    fleet.remove("acme/coming.yaml")


def test_a_long_answer_outlives_its_revision(fleet: Fleet) -> None:
    """What streams goes on streaming when its revision, and then the cluster of it, is gone from the Envoy."""
    upstreams = [fleet.upstreams["one"], fleet.upstreams["two"]]  # near the one Envoy and the other
    old = [backend(place, each.address) for place, each in zip((PARIS, VIRGINIA), upstreams, strict=True)]
    new = backend(PARIS, fleet.upstreams["beta"].address)
    fleet.write("acme/long.yaml", workload("long", "acme", {"production": [revision("old", *old)]}))
    request = write_request("/acme/models/long/stream", headers=bearer(fleet.issuer.token("acme")))
    with ExitStack() as open_:
        wires = [open_.enter_context(Wire(port)) for port in fleet.ports.values()]
        for wire in wires:
            wire.send(request)
            assert wire.head()[0] == 200
        fleet.write("acme/long.yaml", workload("long", "acme", {"production": [revision("new", new)]}))
        fleet.calm()
        for envoy in fleet.envoys.values():
            wait_until(partial(_lacks, envoy, "acme/models/long/production/old"))
        assert fleet.served("/acme/models/long") == {"beta"}
        for wire, upstream in zip(wires, upstreams, strict=True):
            upstream.feed(b"data: late\n\n")
            assert wire.chunk() == b"data: late\n\n"
            upstream.feed(None)
            assert wire.chunk() == b""
    fleet.remove("acme/long.yaml")


def test_traffic_meets_no_error_while_revisions_come_and_go(fleet: Fleet) -> None:
    """New clusters before the routes to them, routes away before their clusters, at every single change."""
    upstreams = [fleet.upstreams.serve(f"busy-{at}") for at in range(4)]

    def model(at: int) -> Manifest:
        labels = [f"r{at + step}" for step in range(1 + at % 3)]
        revisions = [
            revision(label, backend(PARIS, upstreams[int(label[1:]) % 4].address), weight=1 + order)
            for order, label in enumerate(labels)
        ]
        return workload("busy", "acme", {"production": revisions})

    fleet.write("acme/busy.yaml", model(0))
    ended = threading.Event()
    bad: list[Answer] = []
    revisions: set[str] = set()
    counts = [0] * (_CLIENTS * len(fleet.ports))
    headers = bearer(fleet.issuer.token("acme"))

    def send(at: int, port: int) -> None:
        with Wire(port) as wire:
            while not ended.is_set():
                answer = wire.ask("/acme/models/busy/v1", "POST", headers, b"{}")
                if answer.status == 200:
                    revisions.add(dict(answer.json()["headers"])["x-fairlead-revision"])
                else:
                    bad.append(answer)
                counts[at] += 1

    ports = [port for port in fleet.ports.values() for _ in range(_CLIENTS)]
    clients = [threading.Thread(target=send, args=each, daemon=True) for each in enumerate(ports)]
    for each in clients:
        each.start()
    try:
        for at in range(1, _CHANGES + 1):
            sent = list(counts)
            fleet.write("acme/busy.yaml", model(at))
            wait_until(partial(_all_grew, counts, sent), "each client has had an answer")
    finally:
        ended.set()
        for each in clients:
            each.join()
    assert bad == []
    assert len(revisions) > _CHANGES // 2
    fleet.remove("acme/busy.yaml")
