"""Requests a second, with a token, for the only model of a gateway, and for the last of as many as can be: each
measured in turns of two seconds, so that what else the machine does meets both. The generator keeps 16 connections
busy. Beside it: the CPU that Envoy uses for a request, which does not depend on who else is slow; and a bare Envoy with
the same models as one list of routes, the first and the last of them.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from bench import bare
from bench.client import Client
from bench.driving import drive
from bench.load import Order
from bench.policies import why_not_on_demand, write_policies
from bench.process import Process, Processes, free_port
from bench.row import Baseline, Goal, Row, not_measured, pick, spread_of
from bench.setting import Setting
from bench.stack import Stack

TITLE = "The last of 100,000 models"
LIMITS = """The model server answers at once with a short body, so routing is the largest share of a request that it can
be; a model that thinks for a second hides all of this. The list of routes has no tokens to check and no scopes: it is
faster than Fairlead for one model. Envoy can also be given one list in the form of a prefix tree or a map
(`virtual_host.matcher`), which the peers measured here don't make."""

GOAL = Goal(0.95, least=True)
NAME = "throughput for the last of {models:,} models ÷ with one model"


@dataclass(slots=True)
class _Target:
    """Something to ask, and what it did: requests a second, and Envoy's CPU microseconds a request."""

    order: Order
    envoy: Process
    rates: list[float]
    costs: list[float]


def measure(setting: Setting) -> list[Row]:
    """Ratios of throughput."""
    with setting.folder() as trial:
        missing = why_not_on_demand(trial / "trial")
    # Without on-demand delivery every Envoy holds every model's clusters: gigabytes, and minutes to fill.
    models = setting.size(100_000 if not missing else 10_000, 1000)
    turns = setting.size(7, 2)
    with ExitStack() as stay:
        one = _fairlead(setting, stay, 1, "eager")
        last = _fairlead(setting, stay, models, "eager" if missing else "on-demand")
        first_of_list, last_of_list = _list(setting, stay, models)
        targets = (one, last, first_of_list, last_of_list)
        for _ in range(turns):
            for each in targets:
                _turn(setting, each)
    ratios = [b / a for a, b in zip(one.rates, last.rates, strict=True)]
    listed = [b / a for a, b in zip(first_of_list.rates, last_of_list.rates, strict=True)]
    middle = pick(sorted(ratios), 50)
    of_list = Baseline(f"one list of {models:,} routes, last ÷ first", pick(sorted(listed), 50), "")
    rates = Baseline("with one model", pick(sorted(one.rates), 50), "requests/s")
    costs = Baseline("with one model", pick(sorted(one.costs), 50), "µs")
    slow = Baseline("one list of routes, its last", pick(sorted(last_of_list.costs), 50), "µs")
    goal = GOAL if models == 100_000 else None
    rows = [
        Row(NAME.format(models=models), middle, "", goal, (of_list, rates), spread_of(ratios)),
        Row(
            f"Envoy's CPU for a request to the last of {models:,} models",
            pick(sorted(last.costs), 50),
            "µs",
            None,
            (costs, slow),
            spread_of(last.costs),
        ),
    ]
    if models != 100_000:
        why = missing or "--quick measures with fewer"
        rows.append(not_measured(NAME.format(models=100_000), "", GOAL, why))
    return rows


def _fairlead(setting: Setting, stay: ExitStack, models: int, delivery: str) -> _Target:
    """A gateway of so many models, warm for the last."""
    work = stay.enter_context(setting.folder())
    listener, policies = free_port(), work / "policies"
    backend = bare.start_upstream(stay.enter_context(Processes(work)))
    write_policies(policies, listener=listener, backend=backend, models=models, delivery=delivery)
    stack = stay.enter_context(Stack(policies, work))
    stack.wait_until_open(listener)
    return _target(listener, f"/acme/models/m{models - 1}", stack.envoy, stack.token())


def _list(setting: Setting, stay: ExitStack, models: int) -> tuple[_Target, _Target]:
    """A bare Envoy with a list of so many routes: its first and its last."""
    work: Path = stay.enter_context(setting.folder())
    others = stay.enter_context(Processes(work))
    clusters = [bare.cluster_to(bare.start_upstream(others))]
    table = bare.table_of([f"m{index}" for index in range(models)])
    port, envoy = bare.start(others, "list", {"route_config": table}, clusters)
    return _target(port, "/acme/models/m0", envoy), _target(port, f"/acme/models/m{models - 1}", envoy)


def _target(port: int, path: str, envoy: Process, token: str = "") -> _Target:
    client = Client(port, token)
    client.wait_for(path)
    client.close()
    return _Target(Order(port, [path], token, seconds=2, warm_up=0.3), envoy, [], [])


def _turn(setting: Setting, each: _Target) -> None:
    with setting.folder() as work, Processes(work) as others:
        before = each.envoy.worked()
        report = drive(others, each.order)
        spent = each.envoy.worked() - before
    if report.failed:
        raise RuntimeError(f"{report.failed} requests failed: {report.statuses}")
    each.rates.append(report.rate)
    # Envoy worked through the warm-up too.
    whole = each.order.seconds + each.order.warm_up
    each.costs.append(spent / (report.rate * whole) * 1e6)
