"""An Envoy joins a gateway of 100,000 models that nobody asks for, with `delivery: on-demand`: it is sent that each
model exists, and its routes, clusters and endpoints with the first request. Ready is from the start of the Envoy's
process, with the control plane up and at rest, until it answers with 200 for a model. Memory (RSS) is taken when both
have come to rest. Cold are first requests, each for another model, on one connection, 20 ms apart. Then, all being at
rest again, one of the models that are active by then gets another revision, ten times a second: counted are the CPU of
the control plane beyond that of as long a time without changes, and the bytes of its responses to this Envoy (a
cluster, its endpoints, the routes, and the old cluster's end).

Beside it: a bare Envoy with one model; a second request for the same models; the CPU without changes.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import NamedTuple

from bench import bare
from bench.client import Client
from bench.policies import save_model, why_not_on_demand, write_policies
from bench.process import Processes, free_port
from bench.row import Baseline, Goal, Row, not_measured, pick, spread_of
from bench.setting import Setting
from bench.stack import Stack

TITLE = "100,000 idle models"
LIMITS = """One Envoy and its control plane on one machine: over a network a first request takes three round trips more.
All models are of one workspace. Some time after changes the last good state is written to disk, in the background and a
twentieth of the time at most: that comes later than what is counted here, once for however many changes."""

MEMORY, READY, COLD, WORK, BYTES = Goal(250), Goal(5), Goal(25), Goal(2), Goal(5)
CHANGES = 100
BETWEEN_SECONDS = 0.1


def measure(setting: Setting) -> list[Row]:
    """Envoy's memory in MB, seconds until it is ready, and milliseconds of first requests."""
    models = setting.size(100_000, 2000)
    what = f"{models:,} idle models, on demand"
    names = (
        f"Envoy's memory with {what}",
        f"Envoy ready with {what}",
        f"first request to a cold model, {what}: p99",
        f"one model of {models:,} changed: CPU in the control plane",
        f"one model of {models:,} changed: sent to the Envoy",
    )
    with setting.folder() as trial:
        missing = why_not_on_demand(trial / "trial")
    if missing:
        units = (("MB", MEMORY), ("s", READY), ("ms", COLD), ("ms", WORK), ("KB", BYTES))
        return [
            not_measured(name, unit, goal, missing) for name, (unit, goal) in zip(names, units, strict=True)
        ]
    with setting.folder() as work:
        listener, policies = free_port(), work / "policies"
        with Processes(work) as others:
            backend = bare.start_upstream(others)
            floor_port, floor = bare.start(
                others, "bare", {"route_config": bare.table_of(["m0"])}, [bare.cluster_to(backend)]
            )
            Client(floor_port).wait_for("/acme/models/m0")
            write_policies(policies, listener=listener, backend=backend, models=models, delivery="on-demand")
            with Stack(policies, work, envoy=False) as stack:
                stack.wait_until_ready()
                token = stack.token()
                stack.plane.rest()
                started = time.perf_counter()
                stack.start_envoy()
                stack.wait_until_open(listener)
                client = Client(listener, token)
                client.wait_for("/acme/models/m0")
                ready = time.perf_counter() - started
                stack.plane.rest()
                stack.envoy.rest()
                memory = stack.envoy.resident() / 1e6
                asked = [f"/acme/models/m{index}" for index in range(1, models, max(1, models // 500))]
                cold = [_after_rest(client, path) for path in asked]
                warm = [_after_rest(client, path) for path in asked]
                client.close()
                change = _change(stack, policies, backend, setting.size(CHANGES, 10))
            base = Baseline("bare Envoy, one model", floor.resident() / 1e6, "MB")
    again = Baseline("a second request, p99", pick(sorted(warm), 99), "ms")
    return [
        Row(names[0], memory, "MB", MEMORY, (base,)),
        Row(names[1], ready, "s", READY),
        Row(names[2], pick(sorted(cold), 99), "ms", COLD, (again,), spread_of(cold)),
        Row(names[3], change.worked, "ms", WORK, (Baseline("as long without a change", change.idle, "ms"),)),
        Row(names[4], change.sent, "KB", BYTES),
    ]


class _Change(NamedTuple):
    """What one change takes: CPU in ms, that of as long a time without changes, and KB sent."""

    worked: float
    idle: float
    sent: float


def _change(stack: Stack, policies: Path, backend: int, changes: int) -> _Change:
    """Change a model again and again."""
    stack.plane.rest()
    began = stack.plane.worked()
    time.sleep(changes * BETWEEN_SECONDS)
    idle = stack.plane.worked() - began
    sent, began = stack.sent(), stack.plane.worked()
    for number in range(changes):
        save_model(policies, "m1", backend, f"r{number}")
        time.sleep(BETWEEN_SECONDS)
    worked = stack.plane.worked() - began - idle
    time.sleep(2)  # what goes, goes after a grace period
    each = 1000 / changes
    return _Change(worked * each, idle * each, (stack.sent() - sent) / changes / 1000)


def _after_rest(client: Client, path: str) -> float:
    """Milliseconds of a request that must succeed."""
    time.sleep(0.02)
    started = time.perf_counter()
    status = client.get(path)
    if status != 200:
        raise RuntimeError(f"{path} answers {status}")
    return (time.perf_counter() - started) * 1000
