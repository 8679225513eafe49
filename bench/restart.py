"""The control plane alone, over one YAML file a model. It is started from nothing, then ended (SIGTERM) and started
again over the same files and the state that it kept, once all of that is on disk. A start runs from before the process
is made until a delta client, which has been asking every 10 ms, is sent the route configuration of the last model.
Memory (RSS) is taken after that, when the process has used next to no CPU for two seconds.

Beside it: reading the same files once, in one process; for the cold start, also parsing them with PyYAML's C loader,
without looking at what they say. The disk's cache is warm for both.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable

import yaml

from bench.peer import ROOT
from bench.policies import why_not_on_demand, write_policies
from bench.process import Process, free_port
from bench.row import Baseline, Goal, Row, pick, spread_of
from bench.setting import Setting
from bench.stack import Stack

TITLE = "Start and restart"
LIMITS = """Envoys keep serving while their control plane is away, so none of this is an outage; it is how long changes
wait. All models are of one shape, so what they have in common is found again and again."""


def measure(setting: Setting) -> list[Row]:
    """Seconds of starts, and MB of the control plane."""
    few, many = setting.size(10_000, 500), setting.models or setting.size(100_000, 2000)
    small, large = _run(setting, few, restarts=1), _run(setting, many)
    times = setting.size(3, 2)
    cold = [small.cold, *(_run(setting, few, restarts=0).cold for _ in range(times - 1))]
    read = Baseline("reading the files", large.read, "s")
    return [
        Row(
            f"control plane's memory, {many:,} models",
            max(large.memory_cold, large.memory) / 1e6,
            "MB",
            Goal(600),
            (
                Baseline("after a start from nothing", large.memory_cold / 1e6, "MB"),
                Baseline("after a restart", large.memory / 1e6, "MB"),
                Baseline(f"{few:,} models", max(small.memory_cold, small.memory) / 1e6, "MB"),
            ),
        ),
        Row(
            f"restart to first served request, {many:,} models, unchanged files",
            pick(sorted(large.restarts), 50),
            "s",
            Goal(5),
            (read, Baseline("start from nothing", large.cold, "s")),
            spread_of(large.restarts),
        ),
        Row(
            f"start from nothing, {few:,} models in YAML",
            pick(sorted(cold), 50),
            "s",
            Goal(3),
            (
                Baseline("reading and parsing the files", small.parse, "s"),
                Baseline("restart", small.restarts[0], "s"),
            ),
            spread_of(cold),
        ),
    ]


class _Found:
    """Seconds and bytes of one set of policies."""

    cold = read = parse = 0.0
    memory = memory_cold = 0

    def __init__(self) -> None:
        self.restarts: list[float] = []


def _run(setting: Setting, models: int, restarts: int = 3) -> _Found:
    found = _Found()
    with setting.folder() as work:
        policies = work / "policies"
        delivery = "eager" if why_not_on_demand(work / "trial") else "on-demand"
        write_policies(policies, listener=free_port(), backend=9000, models=models, delivery=delivery)
        paths = sorted(policies.glob("*.yaml"))
        found.read = _timed(lambda: [each.read_text() for each in paths])
        if models <= 10_000:
            found.parse = _timed(lambda: [_parse(each.read_text()) for each in paths])
        stack = Stack(policies, work, envoy=False)
        with stack.processes:
            clients = stack.processes.start(
                "clients",
                [sys.executable, "-m", "bench.xds_clients", str(stack.xds)],
                directory=ROOT,
                talk=True,
            )
            clients.hear()
            name = f"acme/models/m{models - 1}"
            found.cold = _start(stack, clients, name)
            if not restarts:
                return found
            stack.processes.wait(
                lambda: any((work / "state").rglob("image")), "the state was on disk", every=0.5
            )
            stack.plane.rest()
            found.memory_cold = stack.plane.resident()
            for _ in range(restarts):
                stack.processes.forget(stack.plane)
                found.restarts.append(_start(stack, clients, name))
                stack.plane.rest()
                found.memory = stack.plane.resident()
        shutil.rmtree(policies)
    return found


def _start(stack: Stack, clients: Process, name: str) -> float:
    """Seconds from the start of the control plane until a client was sent the route configuration."""
    clients.tell(f"probe {name}")
    time.sleep(0.5)
    started = time.monotonic()
    stack.start_plane()
    return float(json.loads(clients.hear())["at"] - started)


def _parse(text: str) -> list[object]:
    return list(yaml.load_all(text, Loader=yaml.CSafeLoader))


def _timed(work: Callable[[], object]) -> float:
    """Seconds that something takes."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
