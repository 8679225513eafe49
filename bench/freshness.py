"""A new model's YAML file is saved beside the others; a client with a token asks for it on a kept-alive connection,
a thousand times a second at most, until it answers 200. One change at a time, on an idle system, all models
delivered eagerly; each time runs from before the file is written.

Beside it, asked for in the same way: one plain request to a model that is there (no change can be seen sooner); a bare
Envoy that watches a file with one route more in it (its own floor); the same with as many routes in the one list as
there are models; and the peer `sovereign`, which serves that list from a template.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from bench import bare, sovereign
from bench.client import Client
from bench.policies import save_model, write_policies
from bench.process import Processes, free_port
from bench.row import Baseline, Goal, Row, pick, spread_of
from bench.setting import Setting
from bench.stack import Stack

TITLE = "Policy saved → first 200 through Envoy"
LIMITS = """sovereign speaks REST and is asked by Envoy again and again (every 100 ms here), and reads its sources once
a second at most; its number is mostly that wait, and says nothing of what its users need. It keeps one list of routes,
as its tutorial does; a template that makes a scope for each model would be a control plane of one's own. The files hold
routes only: no tokens, no endpoints, no order between types. Memory of a page cache is warm throughout."""

WARM_UP = 5
FLOOR_REQUESTS = 500
BETWEEN_SECONDS = 0.1


def measure(setting: Setting) -> list[Row]:
    """Milliseconds from a saved file to the first 200, for few models and for many."""
    many = setting.size(10_000, 300)
    rows = []
    some = setting.size(1_000, 100)
    for models, goals in ((10, (None, None)), (some, (None, None)), (many, (Goal(8), Goal(20)))):
        taken, plain = _fairlead(setting, models, setting.size(200 if models == many else 100, 20))
        baselines = [Baseline("one plain request, p50", pick(sorted(plain), 50), "ms")]
        if models == many:
            changes = setting.size(30, 5)
            for name, found in (
                ("bare Envoy, file with 1 route, p50", _file(setting, 1, changes)),
                (f"bare Envoy, file with {models:,} routes, p50", _file(setting, models, changes)),
                (f"sovereign, {models:,} routes, p50", _sovereign(setting, models, setting.size(15, 3))),
            ):
                if found:
                    baselines.append(Baseline(name, pick(sorted(found), 50), "ms"))
        spread = spread_of(taken)
        note = setting.sovereign.missing if models == many else ""
        name = f"policy saved → first 200, {models:,} models, idle"
        rows.append(Row(f"{name}: p50", spread.p50, "ms", goals[0], tuple(baselines), spread, note))
        rows.append(Row(f"{name}: p99", spread.p99, "ms", goals[1], tuple(baselines), spread))
    return rows


def _fairlead(setting: Setting, models: int, changes: int) -> tuple[list[float], list[float]]:
    """Milliseconds of changes, and of plain requests."""
    with setting.folder() as work:
        listener, policies = free_port(), work / "policies"
        with Processes(work) as others:
            backend = bare.start_upstream(others)
            write_policies(policies, listener=listener, backend=backend, models=models)
            with Stack(policies, work) as stack:
                stack.wait_until_open(listener)
                client = Client(listener, stack.token())
                client.wait_for(f"/acme/models/m{models - 1}")
                plain = [client.time(f"/acme/models/m{models - 1}") for _ in range(FLOOR_REQUESTS)]
                taken = _change(client, changes, lambda name: save_model(policies, name, backend))
                client.close()
    return taken, plain


def _file(setting: Setting, routes: int, changes: int) -> list[float]:
    """The same of an Envoy that takes a list of routes from a file."""
    with setting.folder() as work, Processes(work) as others:
        backend = bare.start_upstream(others)
        names = [f"m{index}" for index in range(routes)]
        table = work / "routes" / "table.json"
        table.parent.mkdir()
        bare.write_table(table, names, 0)
        port, _ = bare.start(others, "envoy", bare.from_file(table), [bare.cluster_to(backend)])
        client = Client(port)
        client.wait_for(f"/acme/models/{names[-1]}")

        def save(name: str) -> None:
            # In front, so that the number is that of the change alone, and not that of the search through the list.
            names.insert(0, name)
            bare.write_table(table, names, len(names))

        taken = _change(client, changes, save)
        client.close()
        return taken


def _sovereign(setting: Setting, routes: int, changes: int) -> list[float]:
    """The same of an Envoy that polls sovereign; empty if it is not installed."""
    if setting.sovereign.missing:
        return []
    with setting.folder() as work, Processes(work) as others:
        backend = bare.start_upstream(others)
        names = [f"m{index}" for index in range(routes)]
        source: Path = work / "models.json"
        sovereign.write_source(source, names)
        port = sovereign.start(others, setting.sovereign, source, bare.cluster_to(backend))
        client = Client(port)
        client.wait_for(f"/acme/models/{names[-1]}")

        def save(name: str) -> None:
            names.insert(0, name)
            sovereign.write_source(source, names)

        taken = _change(client, changes, save)
        client.close()
        return taken


def _change(client: Client, changes: int, save: Callable[[str], None]) -> list[float]:
    """Save new models one at a time; milliseconds until each is there. The first few don't count."""
    taken = []
    for index in range(WARM_UP + changes):
        time.sleep(BETWEEN_SECONDS)  # each change meets an idle system: what is measured is one change
        started = time.perf_counter()
        save(f"new{index}")
        client.wait_for(f"/acme/models/new{index}")
        taken.append((time.perf_counter() - started) * 1000)
    return taken[WARM_UP:]
