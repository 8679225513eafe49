"""2,000 clients with a delta stream and a connection each, in a process of their own, follow a gateway of ten models.
The endpoints of one model change; counted is from before the file is saved until the last client has acknowledged. Then
1,000 of them vanish and come back at once with nothing. CPU and memory are the control plane's, the difference that the
streams or the change make, by their number. Both processes share the two cores.

Beside it: a bare grpc.aio server that sends fixed bytes of about that size to the same clients.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bench.peer import ROOT
from bench.policies import save_model, write_policies
from bench.process import Process, Processes, free_port
from bench.row import Baseline, Goal, Row, pick, spread_of
from bench.setting import Setting
from bench.stack import Stack

TITLE = "Two thousand streams"
LIMITS = """The clients are gRPC's Python client, which needs about as much CPU as the server: a good part of the time
until the last acknowledgement is theirs. Envoys ask for more types than clusters and endpoints. The bare server keeps
no account of what anybody has, so it could not tell what to send after a change."""


ALL, PUSHES, MEMORY = Goal(400), Goal(6000, least=True), Goal(80)


@dataclass(slots=True)
class _Found:
    """Seconds, CPU seconds and bytes of one server under the clients."""

    acknowledged: list[float]
    worked: list[float]
    memory: int
    joined: float
    storm: float


def measure(setting: Setting) -> list[Row]:
    """How a change, a stream and a storm weigh."""
    count, storm = setting.size(2000, 100), setting.size(1000, 50)
    ours, floor = _fairlead(setting, count, storm), _bare(setting, count, storm)
    streams = f"{count:,} streams"

    def row(name: str, unit: str, value: Callable[[_Found], float], goal: Goal | None = None) -> Row:
        return Row(name, value(ours), unit, goal, (Baseline("bare grpc.aio", value(floor), unit),))

    change = spread_of(each * 1000 for each in ours.acknowledged)
    beside = Baseline("bare grpc.aio, p50", pick(sorted(floor.acknowledged), 50) * 1000, "ms")
    return [
        Row(f"one change acknowledged by {streams}: p50", change.p50, "ms", ALL, (beside,), change),
        row(
            "pushes a second and core, acknowledgements included",
            "1/s",
            lambda each: count / pick(sorted(each.worked), 50),
            PUSHES,
        ),
        row("memory per stream", "KB", lambda each: each.memory / count / 1000, MEMORY),
        row(f"{streams} join at once, all in step", "s", lambda each: each.joined),
        row(f"reconnect storm of {storm:,}, all in step", "s", lambda each: each.storm),
    ]


class _Clients:
    """The driver of clients, as a process."""

    def __init__(self, processes: Processes, port: int) -> None:
        command = [sys.executable, "-m", "bench.xds_clients", str(port)]
        self._process = processes.start("clients", command, directory=ROOT, talk=True)
        self._process.hear()

    def do(self, command: str) -> float:
        """Connect or storm; seconds until all were in step."""
        self._process.tell(command)
        found = json.loads(self._process.hear())
        return float(found["last"] - found["began"])

    def change(self, make: Callable[[], None]) -> float:
        """Make a change; seconds until every client had acknowledged it."""
        self._process.tell("change")
        self._process.hear()
        time.sleep(0.2)
        started = time.monotonic()
        make()
        return float(max(json.loads(self._process.hear())["times"]) - started)


def _drive(
    setting: Setting, clients: _Clients, server: Process, make: Callable[[int], None], sizes: tuple[int, int]
) -> _Found:
    """Let the clients join, changes be made, and some of the clients come back."""
    count, storm = sizes
    clients.do("connect 1")  # what is made with the first client is no part of what one more costs
    before = server.resident()
    joined = clients.do(f"connect {count - 1}")
    time.sleep(1)
    memory = server.resident() - before
    acknowledged, worked = [], []
    for turn in range(setting.size(10, 3)):
        spent = server.worked()
        acknowledged.append(clients.change(lambda turn=turn: make(turn)))  # type: ignore[misc]
        time.sleep(0.5)
        worked.append(server.worked() - spent)
    return _Found(acknowledged, worked, memory, joined, clients.do(f"storm {storm}"))


def _fairlead(setting: Setting, count: int, storm: int) -> _Found:
    with setting.folder() as work:
        policies = work / "policies"
        write_policies(policies, listener=free_port(), backend=9000, models=10)
        with Stack(policies, work, envoy=False) as stack:
            stack.wait_until_ready()
            clients = _Clients(stack.processes, stack.xds)

            def make(turn: int) -> None:
                save_model(policies, "m0", 9001 + turn)

            return _drive(setting, clients, stack.plane, make, (count, storm))


def _bare(setting: Setting, count: int, storm: int) -> _Found:
    with setting.folder() as work, Processes(work) as processes:
        port = free_port()
        command: list[str | Path] = [sys.executable, "-m", "bench.bare_xds", str(port)]
        server = processes.start("bare", command, directory=ROOT, talk=True)
        server.hear()
        clients = _Clients(processes, port)
        return _drive(setting, clients, server, lambda _: server.tell("push"), (count, storm))
