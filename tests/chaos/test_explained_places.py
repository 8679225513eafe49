"""What `explain` says of places is what each region's Envoy has, and does: for deployments drawn at random."""

from __future__ import annotations

import os
import random
from typing import Any

import pytest

from tests.chaos.fleet import EAGER, GATEWAYS, PLACES, REGIONS, Fleet
from tests.e2e.held import hold_places
from tests.e2e.manifest import Manifest, backend, manifest, revision, write
from tests.e2e.wire import Wire
from tests.golden.folder import read
from xds_server.graph import Builder, Graph, Share, explain
from xds_server.policy import load

pytestmark = pytest.mark.envoy

_MODELS = 12
_REQUESTS = 30


def _draw(chance: random.Random, fleet: Fleet) -> Manifest:
    """A deployment to some places, each with one of the models and perhaps a standby, in any mode."""
    there = chance.sample(PLACES, chance.randint(1, len(PLACES)))
    backends = [backend(place, fleet.models[place].address) for place in there]
    if chance.random() < 0.5:
        backends.append(backend(chance.choice(PLACES), fleet.models["forbidden"].address, standby=True))
    some = chance.sample(there, chance.randint(1, len(there)))
    routing: dict[str, Any] = chance.choice(
        [
            {"mode": "nearest"},
            {"order": some},
            {"mode": "weighted", "weights": {place: chance.randint(1, 5) for place in some}},
            {"mode": "pinned", "location": some[0]},
        ]
    )
    europe = {"policies": ["europe"]} if routing == {"mode": "nearest"} and set(there) & {*PLACES[:3]} else {}
    return {
        "environment": "production",
        "revisions": [revision("v1", *backends)],
        "routing": routing,
        **europe,
    }


def _explain(graph: Graph, model: str, gateway: str) -> Share:
    [share] = explain(graph, f"/acme/models/{model}", region=REGIONS[gateway]).shares
    return share


def _told(share: Share) -> list[tuple[int, str, int, frozenset[str]]]:
    return [
        (hop.priority, hop.place, hop.weight, frozenset(address for address, _ in hop.addresses))
        for hop in share.hops
    ]


def _held(fleet: Fleet, gateway: str, model: str) -> list[tuple[int, str, int, frozenset[str]]]:
    """The places that the Envoy has of a model, as its own dump of its configuration says."""
    return sorted(
        (
            place.get("priority", 0),
            place["locality"]["zone"],
            place.get("load_balancing_weight") or 1,
            frozenset(_address(each) for each in place["lb_endpoints"]),
        )
        for place in hold_places(fleet.envoys[gateway], f"acme/models/{model}/production/v1")
    )


def _address(each: dict[str, Any]) -> str:
    address = each["endpoint"]["address"]["socket_address"]
    return f"http://{address['address']}:{address['port_value']}"


def test_every_envoy_has_and_does_what_explain_says(fleet: Fleet) -> None:
    seed = os.environ.get("FAIRLEAD_TEST_SEED", "1")
    chance = random.Random(seed)
    names = [f"drawn-{at}" for at in range(_MODELS)]
    models = [manifest("Model", name, "acme", deployments=[_draw(chance, fleet)]) for name in names]
    fleet.save(lambda: write(fleet.folder, "acme/drawn.yaml", models))
    for name in names:
        fleet.wait_for_routes(name, *EAGER)
    built = Builder().build(load(*read(fleet.folder)))
    assert not built.errors
    for name in names:
        for gateway in GATEWAYS:
            share = _explain(built.graph, name, gateway)
            before = fleet.mark()
            with Wire(fleet.ports[gateway]) as wire:
                for _ in range(_REQUESTS):
                    assert wire.ask(f"/acme/models/{name}", headers=fleet.headers).status == 200
            served = {
                f"http://{fleet.models[place].address}"
                for place, asked in fleet.mark().items()
                if asked > before[place]
            }
            first = {address for hop in share.hops if hop.priority == 0 for address, _ in hop.addresses}
            assert served == first, f"{name} at {gateway}, seed {seed}"
            assert _held(fleet, gateway, name) == sorted(_told(share)), f"{name} at {gateway}, seed {seed}"
