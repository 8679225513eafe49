"""A builder follows changes: a run that failed or was taken back leaves nothing that the next one would believe."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from tests.graph import world as w
from xds_server.graph import Builder, Built, Hold, tenant
from xds_server.policy import DEVELOPMENT_JWKS, LoadCache, load

FILES = {
    "fleet.yaml": w.write(*w.FLEET),
    "acme.yaml": w.write(w.workspace()),
    "a.yaml": w.write(w.model("a")),
}
MOVED = w.write(w.gateway(port=20000), w.issuer())
"""The fleet with another port."""


class Following:
    """One builder over one version of a policy set after the other; `anew` is what a new one makes of the last."""

    def __init__(self) -> None:
        self.files = dict(FILES)
        self.attachments = {DEVELOPMENT_JWKS: w.JWKS}
        self.builder = Builder()
        self._cache = LoadCache()

    def build(self, hold: Hold | None = None) -> Built:
        loaded = load(self.files, self.attachments, self._cache)
        return self.builder.build(loaded) if hold is None else self.builder.build(loaded, hold)

    def anew(self) -> Built:
        return Builder().build(load(self.files, self.attachments))


@pytest.fixture
def plant() -> Following:
    return Following()


def failing(at: int) -> Callable[..., Any]:
    """What builds an endpoint, but for one time, when there is no memory."""
    calls, build_endpoint = 0, tenant.build_endpoint

    def fail(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == at:
            raise MemoryError
        return build_endpoint(*arguments)

    return fail


def port(built: Built) -> int:
    found: int = built.graph.edges["edge"].gateway.spec.listeners[0].port
    return found


def port_kept(built: Built) -> int:
    """The port in what the archive would keep of the fleet."""
    [gateway] = [each for each in built.grounds[None].roster if each.kind == "Gateway"]
    found: int = gateway.spec.listeners[0].port  # type: ignore[attr-defined]
    return found


@pytest.mark.parametrize("hold", [None, Hold(frozenset({"acme"}))], ids=["after a failed run", "while held"])
def test_what_is_kept_of_the_fleet_is_what_is_served(plant: Following, hold: Hold | None) -> None:
    first = plant.build()
    plant.files["fleet.yaml"] = MOVED
    plant.build()
    plant.builder.resume(first.graph, first.grounds)
    again = plant.build(hold)
    assert (port(again), port_kept(again)) == (20000, 20000)


def test_a_run_that_failed_half_way_leaves_no_workspace_on_the_old_map(
    plant: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("acme", "beta", "gamma"):
        plant.files[f"{name}.yaml"] = w.write(w.workspace(name))
        plant.files[f"of {name}.yaml"] = w.write(
            w.model("m", w.deployment(w.revision("v1", w.backend("lyon"))), within=name)
        )
    plant.files["fleet.yaml"] = w.write(*w.FLEET, w.location("lyon"))
    first = plant.build()
    plant.files["fleet.yaml"] = w.write(*w.FLEET, w.location("lyon", latitude=10.0))
    monkeypatch.setattr(tenant, "build_endpoint", failing(2))
    with pytest.raises(MemoryError):
        plant.build()
    plant.builder.resume(first.graph, first.grounds)
    assert plant.build().graph == plant.anew().graph


def test_a_run_that_failed_half_way_miscounts_no_environment(
    plant: Following, monkeypatch: pytest.MonkeyPatch
) -> None:
    bound = (w.workspace(), w.places("europe", ("continent", "eu")), w.environment("productions", "europe"))
    plant.files["acme.yaml"] = w.write(*bound)
    there = w.deployment(w.revision("v1", w.backend("eu-west-3")), to="productions")
    plant.files |= {f"{name}.yaml": w.write(w.model(name, there)) for name in "bc"}
    plant.build()
    plant.files["b.yaml"] = plant.files["b.yaml"].replace("name: v1", "name: v2")
    monkeypatch.setattr(tenant, "build_endpoint", failing(1))
    with pytest.raises(MemoryError):
        plant.build()
    plant.build()
    del plant.files["b.yaml"]
    assert plant.build().diagnostics == plant.anew().diagnostics == ()


def test_a_missing_file_is_not_missed_any_more_when_what_referred_to_it_goes_together_with_another_file(
    plant: Following,
) -> None:
    backend = w.backend("eu-west-3", "https://x.test:443", tls={"ca": "ca.pem"})
    plant.files["a.yaml"] = w.write(w.model("a", w.deployment(w.revision("v1", backend))))
    assert [each.code for each in plant.build().errors] == ["missing-file"]
    del plant.files["a.yaml"]
    plant.attachments["other.pem"] = b"x"
    assert plant.build().diagnostics == ()


def test_what_is_said_of_the_fleet_follows_its_lines(plant: Following) -> None:
    plant.files["fleet.yaml"] = w.write(
        *w.FLEET, w.manifest("Gateway", "services", {"proxyless": {"workspaces": ["ghost"]}})
    )
    plant.build()
    plant.files["fleet.yaml"] = f"# a line more\n{plant.files['fleet.yaml']}"
    assert plant.build().diagnostics == plant.anew().diagnostics != ()


def test_a_load_is_freed_when_the_next_was_built() -> None:
    builder, attachments = Builder(), {DEVELOPMENT_JWKS: w.JWKS}
    loaded = load(FILES, attachments)
    before = weakref.ref(loaded)
    builder.build(loaded)
    del loaded
    gc.collect()
    assert before() is None
