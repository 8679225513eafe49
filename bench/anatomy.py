"""Where Envoy's memory for an active model goes: the same models with one thing after another taken away.

Run: python -m bench.anatomy [--fewer 800] [--more 1200]

Printed are KB a model, as a slope between the two numbers of models of what Envoy says that it has allocated (`/memory`
on its admin page), so it does not depend on what else the machine does. The first row is the product as it runs; for
the others, the cluster that Envoy was sent is given to a bare Envoy with the product's bootstrap, once for each model.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from bench import bare
from bench.bare import Json
from bench.footprint import grow
from bench.peer import Peer
from bench.policies import wide_backends
from bench.process import Processes, free_port
from bench.program import FAIRLEAD
from bench.setting import Setting
from bench.stack import Stack


@dataclass(frozen=True, slots=True)
class _Given:
    """What a bare Envoy is given: a cluster for each model, and what the bootstrap says of the whole process."""

    cluster: Json
    bootstrap: Json


Take = Callable[[_Given], None]
"""Takes something away, in place."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.anatomy", description=__doc__)
    parser.add_argument("--fewer", type=int, default=800, help="the smaller number of models")
    parser.add_argument("--more", type=int, default=1200, help="the larger number of models")
    arguments = parser.parse_args()
    sizes = arguments.fewer, arguments.more
    setting = Setting(False, Peer("sovereign"), Peer("litellm"))
    slope, cluster = _serve(setting, *sizes)
    print("| what Envoy holds | KB a model |\n|---|---|", flush=True)
    print(f"| all that Fairlead sends: cluster, endpoints, scope, routes | {slope:.1f} |", flush=True)
    given = _Given(cluster, _bootstrap())
    for what, take in _STEPS:
        take(given)
        held = [_hold(setting, given, models) for models in sizes]
        print(f"| {what} | {_slope(held, sizes):.1f} |", flush=True)
    return 0


def _slope(held: list[int], sizes: tuple[int, int]) -> float:
    return (held[1] - held[0]) / (sizes[1] - sizes[0]) / 1000


def _serve(setting: Setting, fewer: int, more: int) -> tuple[float, Json]:
    """KB a model as the product serves them, and the cluster of one of them with its endpoints in it."""

    def look(stack: Stack) -> tuple[int, Json]:
        return _allocated(stack.envoy_admin), _find_cluster(stack.envoy_admin, "m0")

    (before, _), (after, cluster) = grow(setting, fewer, more, look)
    return _slope([before, after], (fewer, more)), cluster


def _find_cluster(admin: int, name: str) -> Json:
    """What Envoy was sent of a model's cluster, as one that needs no other message."""
    found: Json = {}
    for section in _ask(f"http://127.0.0.1:{admin}/config_dump?include_eds")["configs"]:
        for each in section.get("dynamic_active_clusters", []):
            if f"/{name}/" in each["cluster"]["name"]:
                found |= each["cluster"]
        for each in section.get("dynamic_endpoint_configs", []):
            if f"/{name}/" in each["endpoint_config"]["cluster_name"]:
                found["load_assignment"] = each["endpoint_config"]
    del found["@type"], found["eds_cluster_config"], found["load_assignment"]["@type"]
    for locality in found["load_assignment"]["endpoints"]:
        del locality[
            "load_balancing_weight"
        ]  # Envoy shows one that was not set as empty, and does not take that
    found["type"] = "STATIC"
    return found


def _bootstrap() -> Json:
    """What the product's bootstrap says of the whole process."""
    place = ("--gateway", "edge", "--region", "eu-west-3")
    command = [FAIRLEAD, "envoy", "bootstrap", *place, "--output", "json"]
    whole = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return {key: whole[key] for key in ("cluster_manager", "deferred_stat_options", "stats_config")}


def _hold(setting: Setting, given: _Given, models: int) -> int:
    """Bytes of a bare Envoy that has the cluster once for each model, each with its own name and addresses."""
    with setting.folder() as work, Processes(work) as others:
        admin = free_port()
        at = {"admin": {"address": {"socket_address": {"address": "127.0.0.1", "port_value": admin}}}}
        clusters = [_rename(given.cluster, index) for index in range(models)]
        table = {"virtual_hosts": [bare.host([])]}
        _, envoy = bare.start(
            others, "bare", {"route_config": table}, clusters, more={**given.bootstrap, **at}
        )
        envoy.rest()
        return _allocated(admin)


def _rename(cluster: Json, index: int) -> Json:
    name = f"acme/models/m{index}/production/v1"
    renamed = deepcopy({**cluster, "name": name})
    renamed["load_assignment"]["cluster_name"] = name
    for endpoint, (_, address) in zip(_list_endpoints(renamed), wide_backends(index), strict=False):
        host, port = address.split(":")
        endpoint["endpoint"]["address"] = {"socket_address": {"address": host, "port_value": int(port)}}
    return renamed


def _list_endpoints(cluster: Json) -> Iterator[Json]:
    for locality in cluster["load_assignment"]["endpoints"]:
        yield from locality["lb_endpoints"]


def _allocated(admin: int) -> int:
    """Bytes that Envoy has allocated, as it says itself."""
    return int(_ask(f"http://127.0.0.1:{admin}/memory")["allocated"])


def _ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=60) as answer:
        return json.loads(answer.read())


def _nothing(given: _Given) -> None:
    pass


def _statistics(given: _Given) -> None:
    given.bootstrap["stats_config"] = {"stats_matcher": {"reject_all": True}}


def _outlier_detection(given: _Given) -> None:
    del given.cluster["outlier_detection"]


def _metadata(given: _Given) -> None:
    for endpoint in _list_endpoints(given.cluster):
        del endpoint["metadata"]


def _localities(given: _Given) -> None:
    endpoints = list(_list_endpoints(given.cluster))
    given.cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": endpoints}]


def _endpoints(given: _Given) -> None:
    endpoints = [next(_list_endpoints(given.cluster))]
    given.cluster["load_assignment"]["endpoints"] = [{"lb_endpoints": endpoints}]


def _settings(given: _Given) -> None:
    for key in given.cluster.keys() - {"name", "type", "load_assignment"}:
        del given.cluster[key]


_STEPS: tuple[tuple[str, Take], ...] = (
    ("cluster and endpoints alone, given statically", _nothing),
    ("… without statistics", _statistics),
    ("… and without outlier detection (a monitor for each of the six endpoints)", _outlier_detection),
    ("… and without the endpoints' metadata (region)", _metadata),
    ("… and with one locality instead of three", _localities),
    ("… and with one endpoint instead of six", _endpoints),
    ("… and with nothing said but name and address", _settings),
)

if __name__ == "__main__":
    raise SystemExit(main())
