"""Policies that another team publishes, through a real Envoy: what it takes back is out, what it fails at is not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.manifest import backend, manifest, revision, write
from tests.e2e.moving import GATEWAY, MODEL, Moving, Traffic, run_moving
from tests.e2e.wire import Wire, bearer
from tests.e2e.world import FRANKFURT, PARIS, VIRGINIA
from tests.envoy_process import wait_until
from tests.server.publishing import Publishing, policy

pytestmark = pytest.mark.envoy

EU, DE, FR, NA = ("continent", "eu"), ("country", "de"), ("country", "fr"), ("continent", "na")
PLACES = {"home": PARIS, "next": FRANKFURT, "far": VIRGINIA}
NODE = f"{GATEWAY}-{PARIS}"


@pytest.fixture
def publisher() -> Iterator[Publishing]:
    with Publishing(policy("europe", EU)) as made:
        yield made


@pytest.fixture
def moving(tmp_path: Path, publisher: Publishing) -> Iterator[Moving]:
    """A model that attaches what is published and a policy of its own which is wider, and one that attaches nothing."""
    with run_moving(tmp_path) as made:
        for label in PLACES:
            made.server(label)
        everywhere = manifest(
            "Policy",
            "everywhere",
            "acme",
            type="location",
            locations=[{"type": kind, "name": name} for kind, name in (EU, NA)],
        )
        free = {"deployments": [{"environment": "production", "revisions": [everywhere_revision(made)]}]}
        declare(made, "governance", publisher)
        write(made.folder, "acme/others.yaml", [everywhere, manifest("Model", "free", "acme", **free)])
        made.write(revisions=[everywhere_revision(made)], policies=["everywhere", "governance/europe"])
        wait_until(lambda: places(made) == {"home", "next"}, "the Envoy has what is published")
        yield made


def everywhere_revision(moving: Moving) -> dict[str, Any]:
    return revision("v1", *(backend(place, moving.servers[label].address) for label, place in PLACES.items()))


def declare(moving: Moving, name: str, publisher: Publishing) -> None:
    source = manifest("PolicySource", name, url=publisher.url, every="1s")
    write(moving.folder, f"{name}.yaml", [source])


def places(moving: Moving) -> set[str]:
    """The places of the model whose addresses the Envoy has."""
    config = moving.envoys[NODE].get("/config_dump?include_eds").json()["configs"]
    ports = {moving.servers[label].port: label for label in PLACES}
    return {
        ports[host["endpoint"]["address"]["socket_address"]["port_value"]]
        for part in config
        for each in part.get("dynamic_endpoint_configs", ())
        if each["endpoint_config"].get("cluster_name") == f"{MODEL}/production/v1"
        for locality in each["endpoint_config"].get("endpoints", ())
        for host in locality.get("lb_endpoints", ())
    }


def problems(moving: Moving) -> dict[str, str]:
    found: dict[str, str] = moving.serving.ask("/readyz")["problems"]
    return found


def looks(moving: Moving) -> float:
    """How often the publisher was asked."""
    text = httpx.get(f"http://{moving.serving.admin}/metrics", trust_env=False, timeout=20).text
    lines = [line for line in text.splitlines() if line.startswith("fairlead_policy_source_fetches_total{")]
    return sum(float(line.split()[-1]) for line in lines)


def ask(moving: Moving, model: str) -> int:
    with Wire(moving.ports[PARIS]) as wire:
        return wire.ask(f"/acme/models/{model}", headers=bearer(moving.token)).status


def goes_on(traffic: Traffic) -> None:
    done = traffic.copy()
    wait_until(lambda: sum(traffic.copy().values()) > sum(done.values()) + 50, "more requests")


def test_a_place_that_is_taken_back_is_out_and_no_request_fails(
    moving: Moving, publisher: Publishing
) -> None:
    with moving.traffic() as traffic:
        goes_on(traffic)
        assert set(traffic.shares()) == {"home"}
        moving.rest()
        before = moving.versions()
        publisher.document = policy("europe", DE)
        wait_until(lambda: places(moving) == {"next"}, "the Envoy has no address there any more")
        traffic.advance(2)  # what was on its way
        done = traffic.copy()
        goes_on(traffic)
        moving.rest()
        assert {label for label, share in traffic.shares(done).items() if share} == {"next"}
        after = moving.versions()
        changed = {key[1:] for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
        assert changed == {("ClusterLoadAssignment", f"{MODEL}/production/v1")}
        # Given back, it is home again; and America is none of the publisher's to this site's liking.
        publisher.document = policy("europe", EU, NA)
        wait_until(lambda: places(moving) == set(PLACES), "what is given is there")
        wait_until(lambda: traffic.copy().get((200, "home"), 0) > done[200, "home"], "home answers again")
    assert traffic.failed == 0, (traffic.answers, traffic.broken)


def test_where_nothing_is_left_nothing_is_served_and_nobody_else_notices(
    moving: Moving, publisher: Publishing
) -> None:
    assert (ask(moving, "llama"), ask(moving, "free")) == (200, 200)
    publisher.document = policy("europe", ("country", "jp"))
    wait_until(lambda: places(moving) == set(), "the Envoy has no address of the model")
    wait_until(lambda: ask(moving, "llama") == 503, "it is refused")
    assert ask(moving, "free") == 200
    assert "no backend in an allowed place" in problems(moving)["workspace acme"]
    assert publisher.url in problems(moving)["workspace acme"]


def test_a_publisher_that_dies_is_told_of_and_nothing_else_happens(
    moving: Moving, publisher: Publishing
) -> None:
    with moving.traffic() as traffic:
        moving.rest()
        before = moving.versions()
        publisher.close()
        wait_until(lambda: "policy source governance" in problems(moving), "it is told of")
        goes_on(traffic)
        # So does a control plane that starts while the publisher is away.
        moving.serving.kill()
        moving.serving.start()
        moving.settle()
        wait_until(lambda: "policy source governance" in problems(moving), "it is told of again")
        assert moving.versions() == before
        assert places(moving) == {"home", "next"}
        publisher.document = policy("europe", DE)
        publisher.open()
        wait_until(lambda: places(moving) == {"next"}, "what was published meanwhile is followed")
        assert "policy source governance" not in problems(moving)
    assert traffic.failed == 0, (traffic.answers, traffic.broken)


@pytest.mark.parametrize(
    ("spoilt", "told"),
    [
        (policy("europe", ("continent", "europe")), ":4:60: error[unknown-continent]"),
        ("#" * 2**21, "larger than 1 MiB"),
        (None, "redirects are not followed"),
    ],
    ids=["mistake", "huge", "redirect"],
)
def test_what_is_no_good_changes_nothing(
    moving: Moving, publisher: Publishing, spoilt: str | None, told: str
) -> None:
    with moving.traffic() as traffic:
        # What the files brought, and the first answer of the publisher, may each be a generation still to come: the
        # next work of the process, over when it has asked him twice more.
        seen = looks(moving)
        wait_until(lambda: looks(moving) >= seen + 2, "he is asked twice more")
        generation = moving.serving.generation()
        if spoilt is None:
            publisher.status, publisher.headers = 302, {"location": "file:///etc/fairlead/policies.yaml"}
        else:
            publisher.document = spoilt
        wait_until(lambda: told in problems(moving).get("policy source governance", ""), "it is told of")
        goes_on(traffic)
        assert moving.serving.generation() == generation
        assert places(moving) == {"home", "next"}
        assert problems(moving).keys() == {"policy source governance"}
        assert publisher.url in problems(moving)["policy source governance"]
    assert traffic.failed == 0, (traffic.answers, traffic.broken)


def test_a_model_that_attaches_what_was_never_fetched_is_not_there(moving: Moving) -> None:
    with moving.traffic() as traffic, Publishing(policy("france", FR)) as law:
        law.status = 503
        declare(moving, "law", law)
        spec = {
            "deployments": [
                {
                    "environment": "production",
                    "policies": ["governance/europe", "law/france"],
                    "revisions": [everywhere_revision(moving)],
                }
            ]
        }
        write(moving.folder, "acme/late.yaml", [manifest("Model", "late", "acme", **spec)])
        wait_until(lambda: "it answers 503" in problems(moving).get("workspace acme", ""), "it is told of")
        assert "`law`" in problems(moving)["workspace acme"]
        assert (ask(moving, "late"), ask(moving, "free")) == (404, 200)
        law.status = 200
        wait_until(lambda: ask(moving, "late") == 200, "it is there once it is fetched")
    assert traffic.failed == 0, (traffic.answers, traffic.broken)
