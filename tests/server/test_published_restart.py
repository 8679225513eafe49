"""A start that goes on from an image, when something else is published by then: it reads whom that concerns."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from tests.graph import world as w
from tests.server.publishing import policy
from tests.server.recollecting import Held, Process
from tests.server.test_incremental import counting, model
from xds_server.graph import deferral, tenant
from xds_server.policy import DEVELOPMENT_JWKS, cache, unread

URL = "https://governance.example.com/policies.yaml"
MODELS, BOUND = 20, 3
EU, FR = ("continent", "eu"), ("country", "fr")


def site() -> dict[str, str]:
    """Models, of which the first attach what is published, and two more run where the environment does."""
    source = w.manifest("PolicySource", "governance", {"url": URL})
    staging = w.environment("staging", "governance/europe")
    files = {"fleet.yaml": w.write(w.gateway(), w.issuer(), source, w.workspace(), staging)}
    for number in range(MODELS):
        bound = ("governance/europe",) if number < BOUND else ()
        files[f"m{number}.yaml"] = model(number, policies=bound)
    for number in (100, 101):
        files[f"m{number}.yaml"] = model(number, to="staging")
    return files


def held(document: str) -> Held:
    return Held(site(), {DEVELOPMENT_JWKS: w.JWKS, URL: document.encode()})


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    found: Counter[str] = Counter()
    rooms = (
        (cache, "read_piece"),
        (unread, "read_piece"),
        (tenant, "build_endpoint"),
        (deferral, "build_endpoint"),
    )
    for room, name in rooms:
        monkeypatch.setattr(room, name, counting(found, name, getattr(room, name)))
    return found


def test_what_is_published_meanwhile_has_only_those_read_that_it_binds(
    tmp_path: Path, done: Counter[str]
) -> None:
    first = Process(held(policy("europe", EU)), tmp_path)
    assert not first.update.built.errors
    assert first.end()
    done.clear()
    again = Process(held(policy("europe", EU)), tmp_path)
    assert again.recollected
    assert done["build_endpoint"] == 0
    fleet = done["read_piece"]
    assert again.end()
    done.clear()
    third = Process(held(policy("europe", FR)), tmp_path)
    assert third.recollected
    assert not third.update.built.errors
    assert done == {"read_piece": fleet + BOUND + 2, "build_endpoint": BOUND + 2}
    # What else is published concerns nobody.
    done.clear()
    assert third.end()
    fourth = Process(held(policy("europe", FR) + "---\n" + policy("asia", ("continent", "as"))), tmp_path)
    assert fourth.recollected
    assert done == {"read_piece": fleet}


def test_without_an_image_the_records_have_what_was_published(tmp_path: Path) -> None:
    first = Process(held(policy("europe", FR)), tmp_path)
    first.end()
    for each in tmp_path.rglob("image"):
        each.unlink()
    # Nobody knows the document any more but the records.
    away = Process(Held(site(), {DEVELOPMENT_JWKS: w.JWKS}), tmp_path)
    assert {each.code for each in away.update.built.errors} == {"unfetched-source"}
    assert away.update.built.kept == {"acme"}
    assert away.update.built.graph.endpoints == first.update.built.graph.endpoints


def test_what_a_workspace_was_last_good_with_outlives_what_is_published_since(tmp_path: Path) -> None:
    Process(held(policy("europe", EU)), tmp_path).end()
    gone = Process(held(policy("europa", EU)), tmp_path)
    assert {each.code for each in gone.update.built.errors} == {"unpublished-policy"}
    gone.end()
    again = Process(held(policy("europa", EU)), tmp_path)
    assert not again.recollected
    assert again.update.built.kept == {"acme"}
    assert again.update.built.graph.endpoints == gone.update.built.graph.endpoints
