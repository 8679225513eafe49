"""Bad resources: one of each type, which Envoy refuses, while all else moves on. It begins with nothing at all."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.e2e.manifest import put
from tests.e2e.wire import Wire, bearer
from tests.envoy_process import wait_until
from tests.matrix.combination import Combination
from tests.matrix.stand import Stand, build, paths
from tests.matrix.world import HOST
from tests.xds.trace_order import faults

SPOILT = {
    "Cluster": "acme/models/llama/production/v1",
    "ClusterLoadAssignment": "acme/models/llama/production/v1",
    "Secret": "edge/secure",
    "TypedExtensionConfig": "fairlead.credentials",
    "Listener": "edge/run",
    "ScopedRouteConfiguration": "acme/models/llama",
    "RouteConfiguration": "acme/models/llama",
}
"""What is spoilt, by type."""


_MODELS = paths("acme/llama", "acme/busy", "acme/sealed", "beta/steady")


@dataclass
class Refused:
    """What came of one bad resource."""

    names: list[str]
    """What the control plane says that Envoy refuses, of that type."""
    others: list[str]
    """And of other types."""
    origin: str
    words: str
    left: int
    """Refusals after it was repaired."""


@dataclass
class Trials:
    """What came of all of them."""

    empty_stalls: dict[str, int] = field(default_factory=dict)
    empty_statuses: list[int] = field(default_factory=list)
    refused: dict[str, Refused] = field(default_factory=dict)
    bad: list[str] = field(default_factory=list)
    stalls: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)


def suffer(combination: Combination, root: Path) -> Trials:
    """Go through all of them with one combination."""
    trials, told = Trials(), root / "faults.json"
    put(told, "{}")
    launcher = [sys.executable, str(Path(__file__).with_name("faulty_serve.py")), str(told)]
    with build(combination, root, program=launcher, empty=True) as stand:
        stand.envoy.start()
        stand.envoy.wait_ready()
        stand.settle()
        trials.empty_stalls = stand.stalls()
        trials.empty_statuses = [_ask(stand, name, _MODELS[0]) for name in stand.world.ports]
        stand.save(stand.world.write_workspaces)
        wait_until(lambda: all(_served(stand, "run", each) for each in _MODELS), "all models are served")
        with stand.traffic as traffic:
            traffic.aim(_MODELS)
            for at, (kind, name) in enumerate(SPOILT.items()):
                trials.refused[kind] = _try(stand, told, kind, name, f"more{at}")
                traffic.flow()
        trials.bad = traffic.bad
        trials.stalls = stand.stalls()
        trials.faults = faults(stand.recorder.trace)
    return trials


def _try(stand: Stand, told: Path, kind: str, name: str, more: str) -> Refused:
    """Spoil a resource in the same change that adds a model and a listener: those must come."""
    put(told, json.dumps({kind: name}))
    stand.world.write_sealed(more)
    stand.world.add_listener(more)
    wait_until(lambda: name in _refusals(stand).get(kind, {}), f"{kind} {name} is refused")
    wait_until(
        lambda: _served(stand, more, *paths(f"acme/{more}")),
        f"{more} is served, though {kind} {name} is refused",
    )
    wait_until(lambda: _calm(stand), "all else is settled")
    # What Envoy asks for anew is sent, and refused, anew.
    words = wait_until(lambda: _refusals(stand).get(kind, {}).get(name), f"{kind} {name} is still refused")
    found = _refusals(stand)
    put(told, "{}")
    stand.save(partial(stand.world.add_listener, f"{more}-too"))
    return Refused(
        names=sorted(found[kind]),
        others=[each for other, names in found.items() if other != kind for each in names],
        origin=words["origin"],
        words=words["error"],
        left=sum(map(len, _refusals(stand).values())),
    )


def _served(stand: Stand, listener: str, path: str) -> bool:
    """Whether a model answers over a listener, which may not be there yet."""
    try:
        return _ask(stand, listener, path) == 200
    except (OSError, EOFError):
        return False


def _ask(stand: Stand, listener: str, path: str) -> int:
    """The status of an answer."""
    tls, name = (stand.world.certificates.client(), HOST) if listener == "secure" else (None, None)
    with Wire(stand.world.ports[listener], tls, name) as wire:
        return wire.ask(path, headers=bearer(stand.world.token)).status


def _refusals(stand: Stand) -> dict[str, dict[str, Any]]:
    """By type and name, what Envoy refuses now."""
    found: dict[str, dict[str, Any]] = {}
    for each in stand.serving.ask("/nodes")["nodes"]:
        for stream in each["streams"]:
            for kind, told in stream["types"].items():
                for refusal in told["refusals"]:
                    found.setdefault(kind, {})[refusal["name"]] = refusal
    return found


def _calm(stand: Stand) -> bool:
    """Whether nothing is on its way."""
    streams = [stream for node in stand.serving.ask("/nodes")["nodes"] for stream in node["streams"]]
    return not any(
        told["in_flight"] or told["waiting"] for stream in streams for told in stream["types"].values()
    )
