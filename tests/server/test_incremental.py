"""A change costs what it reaches: what is read, built, compiled and sent of a thousand models when one changes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.manifest import put
from tests.graph import world as w
from xds_server.compiler import rendition
from xds_server.graph import tenant
from xds_server.policy import cache
from xds_server.protocol import types as t
from xds_server.server.pipeline import Pipeline
from xds_server.snapshot import Audience, Dialect, Diff, View, diff
from xds_server.sources import FolderSource

MODELS = 1000
BOUND = 3
"""Of them, those that a policy binds."""
PARIS = Audience("edge", "eu-west-3", Dialect())


@dataclass
class Plant:
    """A pipeline over a folder of many models, which counts what it does."""

    folder: Path
    pipeline: Pipeline
    view: View
    done: Counter[str] = field(default_factory=Counter)

    def change(self, name: str, text: str) -> Diff:
        """Save a file and run; what differs then for the Envoys in Paris. `done` tells what it took."""
        put(self.folder / name, text)
        self.done.clear()
        before, self.view = self.view, view(self.pipeline, self.view)
        return diff(before, self.view)


def view(pipeline: Pipeline, before: View | None = None) -> View:
    update = pipeline.refresh()
    assert not update.built.errors, update.built.errors
    found = update.catalogue.view(PARIS, before)
    assert found is not None
    return found


def fleet(allowed: tuple[str, str]) -> str:
    keys = w.issuer(jwks={"file": "keys.json"})
    return w.write(w.gateway(), keys, w.workspace(), w.places("europe", allowed))


def model(number: int, port: int = 9000, **more: Any) -> str:
    revision = w.revision("v1", w.backend("eu-west-3", f"127.0.0.1:{port}"))
    return w.write(w.model(f"m{number}", w.deployment(revision, **more)))


@pytest.fixture
def plant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plant:
    folder = tmp_path / "policies"
    put(folder / "fleet.yaml", fleet(("continent", "eu")))
    put(folder / "keys.json", w.JWKS.decode())
    for number in range(MODELS):
        put(folder / f"m{number}.yaml", model(number, policies=("europe",) if number < BOUND else ()))
    source = FolderSource(folder)
    pipeline = Pipeline(source)
    found = Plant(folder, pipeline, view(pipeline))
    for type_url in found.view.types():  # as it is where an Envoy has everything
        found.view.encode(type_url)
    for room, name in (
        (cache, "read_piece"),
        (tenant, "build_endpoint"),
        (rendition, "compile_routes"),
        (rendition, "compile_assignment"),
    ):
        monkeypatch.setattr(room, name, counting(found.done, name, getattr(room, name)))
    return found


def counting(done: Counter[str], name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def count(*arguments: Any) -> Any:
        done[name] += 1
        return function(*arguments)

    return count


def test_a_change_of_one_model_reads_builds_compiles_and_sends_that_one(plant: Plant) -> None:
    changed = plant.change("m7.yaml", model(7, port=9001))
    assert plant.done == {"read_piece": 1, "build_endpoint": 1, "compile_routes": 1, "compile_assignment": 1}
    assert changed == Diff({t.ENDPOINT: frozenset({"acme/models/m7/production/v1"})})


def test_a_new_model_is_all_that_is_sent_and_not_encoded_before_somebody_wants_it(plant: Plant) -> None:
    changed = plant.change("new.yaml", model(MODELS))
    cluster, path = f"acme/models/m{MODELS}/production/v1", f"acme/models/m{MODELS}"
    assert changed == Diff(
        {
            t.CLUSTER: frozenset({cluster}),
            t.ENDPOINT: frozenset({cluster}),
            t.SCOPE: frozenset({path}),
            t.ROUTE: frozenset({path}),
        }
    )
    assert plant.done == {"read_piece": 1, "build_endpoint": 1}
    plant.view.encode(t.ROUTE)
    assert plant.done["compile_routes"] == 1


def test_a_policy_reaches_the_models_that_are_bound_by_it(plant: Plant) -> None:
    assert plant.change("fleet.yaml", fleet(("country", "fr"))) == Diff()
    assert (plant.done["build_endpoint"], plant.done["compile_routes"]) == (BOUND, BOUND)


def test_a_model_that_means_the_same_as_before_is_not_compiled(plant: Plant) -> None:
    assert plant.change("m7.yaml", "# a comment\n" + model(7)) == Diff()
    assert plant.done == {"read_piece": 1, "build_endpoint": 1}
