"""What Fairlead compiles for one model, run by two Envoys without a control plane: as it is, and without the filters
that check token, workspace and access. The same request with the same token goes to both, over 16 kept-alive
connections, in turns. The token is a signed one of the development issuer, checked with Envoy's cache of tokens as
Fairlead sets it.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from bench import bare
from bench.client import Client
from bench.driving import drive
from bench.load import Order
from bench.policies import REGIONS, write_policies
from bench.process import Process, Processes, free_port
from bench.program import FAIRLEAD, envoy
from bench.row import Baseline, Goal, Row, pick, spread_of
from bench.setting import Setting

TITLE = "What the checks of token and access cost"
LIMITS = """A client that sends the same token again is what is measured, as clients do: the signature of a token that
an Envoy has not seen yet costs some 40 to 70 µs more, once. The model server answers at once, so the checks are the
largest share of a request that they can be."""

Json = dict[str, Any]

GOAL = Goal(0.75, least=True)
CHECKS = frozenset(
    {"fairlead.credentials", "fairlead.authentication", "fairlead.membership", "fairlead.access"}
)


def measure(setting: Setting) -> list[Row]:
    """The ratio of throughputs with and without the checks."""
    turns = setting.size(7, 1)
    with setting.folder() as work, Processes(work) as processes:
        backend = bare.start_upstream(processes)
        state = {"FAIRLEAD_STATE": str(work / "state")}
        token = _ask("token", "create", "--workspace", "acme", environment=state)
        write_policies(work / "policies", listener=free_port(), backend=backend, models=1)
        compiled = json.loads(
            _ask("compile", work / "policies", "--region", REGIONS[0], "-o", "json", environment=state)
        )
        found: dict[str, tuple[Order, Process, list[float], list[float]]] = {}
        for name, without in (("checked", frozenset[str]()), ("unchecked", CHECKS)):
            port = free_port()
            config = work / f"{name}.json"
            config.write_text(json.dumps(_bootstrap(compiled, port, without)))
            process = processes.start(name, envoy(config))
            processes.wait_open(port)
            Client(port, token).wait_for("/acme/models/m0")
            order = Order(port, ["/acme/models/m0"], token, seconds=setting.size(2, 1), warm_up=0.5)
            found[name] = (order, process, [], [])
        for _ in range(turns):
            for order, process, rates, costs in found.values():
                spent = process.worked()
                report = drive(processes, order)
                if report.failed or not report.answered:
                    raise RuntimeError(f"{report.failed} requests failed: {report.statuses}")
                rates.append(report.rate)
                # Envoy worked through the warm-up too.
                asked = report.rate * (order.seconds + order.warm_up)
                costs.append((process.worked() - spent) / asked * 1e6)
    return _rows(found["checked"][2:], found["unchecked"][2:])


def _rows(checked: tuple[list[float], list[float]], unchecked: tuple[list[float], list[float]]) -> list[Row]:
    ratios = [a / b for a, b in zip(checked[0], unchecked[0], strict=True)]
    beside = tuple(
        Baseline(name, pick(sorted(rates), 50), "requests/s")
        for name, rates in (("with", checked[0]), ("without", unchecked[0]))
    )
    cost = pick(sorted(checked[1]), 50) - pick(sorted(unchecked[1]), 50)
    whole = Baseline("a whole request without them", pick(sorted(unchecked[1]), 50), "µs")
    spread = spread_of(ratios)
    return [
        Row(
            "throughput with token and access checked ÷ without",
            pick(sorted(ratios), 50),
            "",
            GOAL,
            beside,
            spread,
        ),
        Row("Envoy's CPU for these checks, a request", cost, "µs", None, (whole,)),
    ]


def _ask(*command: str | Path, environment: dict[str, str]) -> str:
    return subprocess.run(
        [FAIRLEAD, *map(str, command)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    ).stdout.strip()


def _bootstrap(compiled: list[Json], port: int, without: frozenset[str]) -> Json:
    """What was compiled, as static configuration: what is discovered otherwise stands where it is referred to."""
    of = {(each["type"].rsplit(".", 1)[1], each["name"]): each["resource"] for each in compiled}

    def all_of(kind: str) -> list[Json]:
        return [json.loads(json.dumps(found)) for (each, _), found in of.items() if each == kind]

    [listener] = all_of("Listener")
    listener["address"]["socket_address"]["port_value"] = port
    for chain in listener["filter_chains"]:
        manager = chain["filters"][-1]["typed_config"]
        manager["http_filters"] = [
            of["TypedExtensionConfig", each["name"]] if "config_discovery" in each else each
            for each in manager["http_filters"]
            if each["name"] not in without
        ]
        manager["scoped_routes"] = {
            "name": "scopes",
            "scope_key_builder": manager["scoped_routes"]["scope_key_builder"],
            "scoped_route_configurations_list": {
                "scoped_route_configurations": [
                    _scope(each, of, without) for each in all_of("ScopedRouteConfiguration")
                ]
            },
        }
    clusters = all_of("Cluster")
    for cluster in clusters:
        del cluster["eds_cluster_config"]
        cluster |= {"type": "STATIC", "load_assignment": of["ClusterLoadAssignment", cluster["name"]]}
    return {
        "node": {"id": "bench", "cluster": "edge"},
        "static_resources": {"listeners": [listener], "clusters": clusters},
    }


def _scope(scope: Json, of: dict[tuple[str, str], Json], without: frozenset[str]) -> Json:
    routes = json.loads(json.dumps(of["RouteConfiguration", scope.pop("route_configuration_name")]))
    for host in routes["virtual_hosts"]:
        rules = host.get("typed_per_filter_config", {})
        host["typed_per_filter_config"] = {name: each for name, each in rules.items() if name not in without}
    return {**scope, "route_configuration": routes}
