"""Twenty files are saved each second, at fixed times whether or not the one before has been seen. Each replaces the
only revision of one of ten models by a new one: a cluster comes, the routes turn to it, the old cluster goes. All the
while a load of 1,000 requests a second over 8 connections asks for just these models, with a token. A second client
asks for each changed model until the model server says that it was the new revision that was asked (the gateway tells
it in a header). Counted are answers other than 2xx, and connections broken, of both clients.

Beside it: the same changes one at a time without load.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from bench import bare
from bench.client import PATIENCE, PAUSE, Client
from bench.driving import Load
from bench.load import Order, Report
from bench.policies import save_model, write_policies
from bench.process import Processes, free_port
from bench.row import Baseline, Goal, Row, pick, spread_of
from bench.setting import Setting
from bench.stack import Stack

TITLE = "Changes under load"
LIMITS = """No time is measured when a revision goes, only that no request fails meanwhile. The requests are short, so
that nothing is in flight for long when a cluster goes; long streams are the tests' matter. More load than this takes
CPU from the control plane on the same two cores; in production they do not share them."""

CHANGED = 10
"""Models that change in turn."""
A_SECOND = 20
LOAD = 1000


def measure(setting: Setting) -> list[Row]:
    """Milliseconds from a saved file to an answer of the new revision, and requests that failed."""
    models, changes = setting.size(10_000, 300), setting.size(1000, 60)
    alone, taken, report, refused = _run(setting, models, changes)
    spread, idle = spread_of(taken), pick(sorted(alone), 50)
    name = f"policy saved → first 200, {models:,} models, {A_SECOND} changes a second under load"
    beside = (Baseline("one change at a time, no load, p50", idle, "ms"),)
    requests = (Baseline("requests answered meanwhile", report.answered, ""),)
    return [
        Row(f"{name}: p50", spread.p50, "ms", None, beside, spread),
        Row(f"{name}: p99", spread.p99, "ms", Goal(30), beside, spread),
        Row(
            f"requests that failed over {changes:,} changes that add and remove revisions",
            report.failed + refused,
            "",
            Goal(0),
            requests,
        ),
    ]


def _run(setting: Setting, models: int, changes: int) -> tuple[list[float], list[float], Report, int]:
    """Milliseconds of changes alone and under load, the load's report, and answers that were not 200."""
    with setting.folder() as work:
        listener, policies = free_port(), work / "policies"
        with Processes(work) as others:
            backend = bare.start_upstream(others)
            write_policies(policies, listener=listener, backend=backend, models=models)
            with Stack(policies, work) as stack:
                stack.wait_until_open(listener)
                token = stack.token()
                client = Client(listener, token)
                client.wait_for(f"/acme/models/m{models - 1}")
                quiet = _Changes(client, policies, backend, "q")
                alone = [quiet.one() for _ in range(setting.size(50, 10))]
                paths = [f"/acme/models/m{index}" for index in range(CHANGED)]
                # It is ended when the changes are through; the time is only there so that it can't go on for ever.
                seconds = 4 * changes / A_SECOND + 60
                load = Load(
                    others,
                    Order(listener, paths, token, rate=LOAD, connections=8, seconds=seconds, warm_up=0),
                )
                busy = _Changes(client, policies, backend, "r")
                taken = busy.many(changes)
                report = load.stop()
                client.close()
    return alone, taken, report, quiet.refused + busy.refused


class _Changes:
    """Saves new revisions and sees when each answers."""

    def __init__(self, client: Client, policies: Path, backend: int, prefix: str) -> None:
        self._client, self._policies, self._backend = client, policies, backend
        self._names = self._name(prefix)
        self.refused = 0

    @staticmethod
    def _name(prefix: str) -> Iterator[tuple[str, str]]:
        number = 0
        while True:
            yield f"m{number % CHANGED}", f"{prefix}{number}"
            number += 1

    def one(self) -> float:
        """Milliseconds of one change, after a rest."""
        time.sleep(0.1)
        model, revision = next(self._names)
        started = self._save(model, revision)
        while not self._seen(model, revision):
            time.sleep(PAUSE)
        return (time.perf_counter() - started) * 1000

    def many(self, changes: int) -> list[float]:
        """Milliseconds of each of so many changes at fixed times."""
        waiting: deque[tuple[str, str, float]] = deque()
        taken: list[float] = []
        following = time.perf_counter()
        limit = following + changes / A_SECOND + PATIENCE
        saved = 0
        while saved < changes or waiting:
            now = time.perf_counter()
            if now > limit:
                raise TimeoutError(f"{len(waiting)} changes were never seen, the first of them {waiting[0]}")
            if saved < changes and now >= following:
                model, revision = next(self._names)
                waiting.append((model, revision, self._save(model, revision)))
                saved, following = saved + 1, following + 1 / A_SECOND
            for _ in range(len(waiting)):
                model, revision, started = waiting.popleft()
                # A revision may be overtaken by the model's next one before anybody asked; then that will tell.
                if self._seen(model, revision):
                    taken.append((time.perf_counter() - started) * 1000)
                else:
                    waiting.append((model, revision, started))
            time.sleep(PAUSE)
        return taken

    def _save(self, model: str, revision: str) -> float:
        started = time.perf_counter()
        save_model(self._policies, model, self._backend, revision)
        return started

    def _seen(self, model: str, revision: str) -> bool:
        """Whether the answer comes from the revision, or a later one of the same series."""
        status, head = self._client.ask(f"/acme/models/{model}")
        self.refused += status != 200
        said = next(
            (
                line.partition(b":")[2].strip().decode()
                for line in head.split(b"\r\n")
                if line.startswith(bare.SEEN.encode() + b":")
            ),
            "",
        )
        return said[:1] == revision[:1] and int(said[1:]) >= int(revision[1:])
