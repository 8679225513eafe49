"""Models of one revision in three regions with two backends each, all active: an Envoy has their clusters, endpoints
and routes. Memory is what the process occupies (RSS), and the number is the slope between a smaller and a larger set,
so that what an Envoy takes by itself is not in it. The same Envoy gets the larger set after the smaller one.

Beside it: a bare Envoy of its own for each size, with as many static clusters of six endpoints and one list of routes;
and what the control plane keeps for such a model.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Callable

from bench import bare
from bench.policies import model, wide_backends, write_wide_policies
from bench.process import Found, Processes, free_port
from bench.row import Baseline, Goal, Row
from bench.setting import Setting
from bench.stack import Stack

TITLE = "Envoy's memory for an active model"
LIMITS = """One worker; each further worker keeps its own copy of some of it. No requests, so no connections to backends
and none of the statistics that Envoy makes when a cluster is first used. The bare Envoy's clusters have no statistics
held back, no retries, no TLS, no outlier detection and no names for what they do."""


def measure(setting: Setting) -> list[Row]:
    """KB for each model more, in Envoy and in the control plane."""
    fewer, more = setting.size(1000, 100), setting.size(4000, 400)
    envoy, plane = _fairlead(setting, fewer, more)
    bare_slope = (_bare(setting, more) - _bare(setting, fewer)) / (more - fewer) / 1000
    baseline = Baseline("bare Envoy, a static cluster and a route", bare_slope, "KB")
    return [
        Row("Envoy's memory per active model", envoy, "KB", Goal(40), (baseline,)),
        Row("control plane's memory per such model", plane, "KB"),
    ]


def _fairlead(setting: Setting, fewer: int, more: int) -> tuple[float, float]:
    """KB a model, of Envoy and of the control plane."""
    before, after = grow(setting, fewer, more, lambda stack: (stack.envoy.resident(), stack.plane.resident()))
    added = more - fewer
    return (after[0] - before[0]) / added / 1000, (after[1] - before[1]) / added / 1000


def grow(setting: Setting, fewer: int, more: int, look: Callable[[Stack], Found]) -> tuple[Found, Found]:
    """What a look at a stack finds when its Envoy has the fewer models and nothing moves, and when it has more."""
    with setting.folder() as work:
        listener, policies = free_port(), work / "policies"
        write_wide_policies(policies, listener=listener, models=fewer)
        with Stack(policies, work) as stack:
            stack.wait_until_open(listener)
            _settle(stack, fewer)
            before = look(stack)
            for index in range(fewer, more):
                (policies / f"m{index}.yaml").write_text(model(f"m{index}", wide_backends(index)))
            _settle(stack, more)
            return before, look(stack)


def _settle(stack: Stack, models: int) -> None:
    """Wait until Envoy has so many models' clusters and nothing moves."""
    url = f"http://127.0.0.1:{stack.envoy_admin}/stats?format=json&filter=^cluster_manager\\.active_clusters$"
    stack.processes.wait(lambda: _stat(url) >= models, f"Envoy had {models} clusters", every=0.1)
    stack.envoy.rest()


def _bare(setting: Setting, models: int) -> int:
    """Bytes of an Envoy with so many static clusters."""
    with setting.folder() as work, Processes(work) as others:
        clusters = [bare.cluster_of(f"m{index}", _addresses(index)) for index in range(models)]
        routes = [
            {"match": {"path_separated_prefix": f"/acme/models/m{index}"}, "route": {"cluster": f"m{index}"}}
            for index in range(models)
        ]
        table = {"name": "table", "virtual_hosts": [bare.host(routes)]}
        _, envoy = bare.start(others, "bare", {"route_config": table}, clusters)
        envoy.rest()
        return envoy.resident()


def _addresses(index: int) -> list[tuple[str, int]]:
    split = (address.split(":") for _, address in wide_backends(index))
    return [(host, int(port)) for host, port in split]


def _stat(url: str) -> int:
    with urllib.request.urlopen(url, timeout=30) as answer:
        found = json.loads(answer.read())["stats"]
    return int(found[0]["value"]) if found else 0
