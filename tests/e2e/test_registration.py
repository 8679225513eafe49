"""Backends that register themselves, through the real Envoy: heartbeats, leases, policies, restarts."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator

import pytest

from tests.e2e.manifest import backend, manifest, write
from tests.e2e.moving import Moving, run_moving
from tests.e2e.registrar import Registrar
from tests.e2e.world import PARIS, VIRGINIA
from tests.envoy_process import wait_until

pytestmark = pytest.mark.envoy

SLOT = "acme/models/llama/production/v1"
TTL = 600
"""Seconds: longer than a test may take, so that nobody goes whom nobody sent away."""


@pytest.fixture(scope="module")
def registrar(tmp_path_factory: pytest.TempPathFactory) -> Registrar:
    return Registrar(tmp_path_factory.mktemp("registration"))


@pytest.fixture(scope="module")
def moving(registrar: Registrar) -> Iterator[Moving]:
    with run_moving(registrar.folder, options=registrar.options()) as made:
        europe = manifest(
            "Policy", "europe", "acme", type="location", locations=[{"type": "continent", "name": "eu"}]
        )
        made.save(lambda: write(made.folder, "acme/europe.yaml", [europe]))
        for label in ("one", "two"):
            made.server(label)
        revision = {"name": "v1", "registration": {"ttl": f"{TTL}s"}}
        made.write(revisions=[revision], policies=["europe"])
        yield made


def there(moving: Moving) -> set[str]:
    """The addresses that the Envoy has for the model."""
    [envoy] = moving.envoys.values()
    lines = envoy.get("/clusters").text.splitlines()
    return {
        line.split("::")[1] for line in lines if line.startswith(f"{SLOT}::127.") and "::weight::" in line
    }


def test_a_backend_comes_and_goes_and_no_request_fails(moving: Moving, registrar: Registrar) -> None:
    one, two = (moving.servers[label].address for label in ("one", "two"))
    moving.rest()
    assert registrar.ask(SLOT, location=PARIS, address=one).json() == {
        "address": one,
        "weight": 1,
        "ttl": TTL,
    }
    wait_until(lambda: there(moving) == {one}, "the Envoy has the first")
    moving.settle()
    before = moving.versions()
    with moving.traffic() as traffic, registrar.sidecar(SLOT, PARIS, two) as process:
        wait_until(lambda: (200, "two") in traffic.copy(), "the second one serves")
        moving.settle()
        after = moving.versions()
        changed = {key[1:] for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        assert changed == {("ClusterLoadAssignment", SLOT)}
        # Weights are endpoints, too.
        assert registrar.ask(SLOT, location=PARIS, address=two, weight=0).status_code == 200
        wait_until(lambda: there(moving) == {one}, "it is out")
        assert registrar.ask(SLOT, location=PARIS, address=two, weight=1).status_code == 200
        wait_until(lambda: there(moving) == {one, two}, "it is back")
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0
        wait_until(lambda: there(moving) == {one}, "it said goodbye")
    assert traffic.failed == 0, (traffic.answers, traffic.broken)


def test_who_is_not_heard_of_any_more_is_out(moving: Moving, registrar: Registrar) -> None:
    one, two = (moving.servers[label].address for label in ("one", "two"))
    registrar.ask(SLOT, location=PARIS, address=one)
    with registrar.sidecar(SLOT, PARIS, two, "--ttl", "5s"):
        wait_until(lambda: there(moving) == {one, two}, "both are there")
        # Longer than the lease: heartbeats keep it.
        told = {each["address"]: each for each in moving.serving.ask("/registrations")["registrations"]}
        assert told[two]["ttl"] == 5.0
        beats = moving.servers["two"].count
        wait_until(lambda: 0 <= _left(moving, two) < 3.8, "time passes")
        wait_until(lambda: _left(moving, two) > 4.2, "it is heard of again")
        assert there(moving) == {one, two}
        assert moving.servers["two"].count == beats
    # Killed, without a goodbye.
    wait_until(lambda: there(moving) == {one}, "its lease is over")
    assert "registered backend is not heard of any more" in moving.serving.log


def _left(moving: Moving, address: str) -> float:
    found = {each["address"]: each["left"] for each in moving.serving.ask("/registrations")["registrations"]}
    return float(found.get(address, -1.0))


def test_policy_holds_for_who_registers(moving: Moving, registrar: Registrar) -> None:
    answer = registrar.ask(SLOT, location=VIRGINIA, address="127.0.0.1:9")
    assert answer.status_code == 403
    error = answer.json()["error"]
    assert (error["code"], error["policies"]) == ("PLACE_NOT_ALLOWED", ["europe"])
    assert "europe.yaml:1" in error["message"]
    assert all(each["location"] != VIRGINIA for each in moving.serving.ask("/registrations")["registrations"])


def test_what_is_registered_outlives_the_control_plane(moving: Moving, registrar: Registrar) -> None:
    one = moving.servers["one"].address
    registrar.ask(SLOT, location=PARIS, address=one)
    wait_until(lambda: there(moving) == {one}, "it is there")
    with moving.traffic() as traffic:
        wait_until(traffic.copy, "a request")
        moving.serving.kill()
        began = time.monotonic()
        moving.serving.start()
        assert _left(moving, one) > TTL - (time.monotonic() - began) - 2, "all of it, again"
        moving.settle()
        assert there(moving) == {one}
    assert traffic.failed == 0, (traffic.answers, traffic.broken)


def test_a_bad_address_in_the_file_of_leases_stops_nothing(moving: Moving, registrar: Registrar) -> None:
    one = moving.servers["one"].address
    registrar.ask(SLOT, location=PARIS, address=one)
    wait_until(lambda: there(moving) == {one}, "it is there")
    [file] = registrar.folder.rglob("registrations.json")
    wait_until(lambda: one in file.read_text(), "it is written")
    with moving.traffic() as traffic:
        wait_until(traffic.copy, "a request")
        moving.serving.kill()
        kept = json.loads(file.read_text())
        [lease] = kept["entries"][SLOT]
        for bad in ("model.test:80", "169.254.169.254:80", "nonsense"):
            kept["entries"][SLOT].append({**lease, "authority": bad})
        file.write_text(json.dumps(kept))
        moving.serving.start()
        moving.settle()
        moving.write(revisions=[{"name": "v1", "registration": {"ttl": f"{TTL - 60}s"}}], policies=["europe"])
        assert there(moving) == {one}
    assert traffic.failed == 0, (traffic.answers, traffic.broken)
    assert moving.serving.log.count("that is kept cannot be used") == 3


def test_declared_and_registered_backends_serve_together(moving: Moving, registrar: Registrar) -> None:
    one, two = (moving.servers[label].address for label in ("one", "two"))
    registrar.ask(SLOT, location=PARIS, address=two)
    revision = {"name": "v1", "registration": {}, "backends": [backend(PARIS, one)]}
    moving.write(revisions=[revision], policies=["europe"])
    wait_until(lambda: there(moving) == {one, two}, "both are there")
    # No `registration`, no registered backends.
    moving.write(revisions=[{"name": "v1", "backends": [backend(PARIS, one)]}], policies=["europe"])
    wait_until(lambda: there(moving) == {one}, "only the declared one is left")
    wait_until(
        lambda: registrar.ask(SLOT, location=PARIS, address=two).status_code == 404,
        "nobody registers any more",
    )
