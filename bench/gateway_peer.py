"""One model behind each gateway, the same model server behind both (an Envoy that gives a fixed chat completion), the
same POST of a chat request over 16 kept-alive connections, in turns. Both check who asks: Fairlead's Envoy a token
(RS256 or ES256, with workspace and model rules), LiteLLM's proxy its master key.

Envoy has one worker and LiteLLM's proxy has one, which is the ratio; with two workers each process of LiteLLM's has a
core, and the client and the model server share them, so that it can't be had twice. LiteLLM is configured for speed: no
database, no cache, no callbacks, no retries, logging of errors only. Beside it: a bare Envoy that does nothing but
forward; and the load generator by itself against an Envoy that answers at once, which must be well above all others.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bench import bare
from bench.client import Client
from bench.driving import drive
from bench.load import Order, Report
from bench.policies import write_policies
from bench.process import Processes, free_port
from bench.row import Baseline, Goal, Row, not_measured, pick, spread_of
from bench.setting import Setting
from bench.stack import Stack

TITLE = "Requests a second beside LiteLLM's proxy"
LIMITS = """LiteLLM's proxy does more with a request than a router: it speaks many providers' APIs and turns one into
another, counts tokens and cost, and can cache, retry and guard. Who needs that needs it, and it can stand behind
Fairlead. Its beta core in Rust is not used: it does not cover this route. Answers are short; with long streams both
mostly wait for the model. Newer releases of it than the one named could not be installed: parts that they require were
not on PyPI."""

PATH = "/acme/models/m0/v1/chat/completions"
MASTER_KEY = "sk-bench"
BODY = json.dumps({"model": "bench", "messages": [{"role": "user", "content": "Say ok."}]})
NAME = "requests/s through Fairlead's Envoy ÷ through LiteLLM's proxy"
GOAL = Goal(10, least=True)
PATIENCE = 150.0
"""Seconds that LiteLLM's proxy has to start."""


def measure(setting: Setting) -> list[Row]:
    """The ratio of throughputs, and each throughput."""
    seconds, turns = setting.size(4, 2), setting.size(3, 1)
    with setting.folder() as work:
        listener, policies = free_port(), work / "policies"
        with Processes(work) as others:
            backend = bare.start_upstream(others)
            write_policies(policies, listener=listener, backend=backend, models=1)
            floor, _ = bare.start(
                others, "bare", {"route_config": bare.table_of(["m0"])}, [bare.cluster_to(backend)]
            )
            with Stack(policies, work) as stack:
                stack.wait_until_open(listener)
                orders = {
                    "the load generator, answered at once": Order(backend, [PATH], body=BODY),
                    "bare Envoy": Order(floor, [PATH], body=BODY),
                    "Fairlead's Envoy": Order(listener, [PATH], stack.token(), BODY),
                }
                for order in orders.values():
                    others.wait(_ready(order), f"port {order.port} answered 200", every=0.2)
                silent: dict[str, str] = {}
                for workers in (1, 2):
                    try:
                        orders[_litellm(workers)] = _litellm_behind(setting, others, workers, backend)
                    except _SilentError as error:
                        silent[_litellm(workers)] = str(error)
                for order in orders.values():
                    order.seconds, order.warm_up = seconds, 1.0
                found: dict[str, list[Report]] = {name: [] for name in orders}
                for _ in range(turns):
                    for name, order in orders.items():
                        report = drive(others, order)
                        if report.failed or not report.answered:
                            raise RuntimeError(f"{name}: {report.failed} requests failed: {report.statuses}")
                        found[name].append(report)
    return _rows(found, silent)


def _rows(found: dict[str, list[Report]], silent: dict[str, str]) -> list[Row]:
    rates = {name: sorted(each.rate for each in reports) for name, reports in found.items()}
    ours = rates["Fairlead's Envoy"]
    rows = []
    if _litellm(1) in silent:
        rows.append(not_measured(NAME, "", GOAL, silent[_litellm(1)]))
    else:
        theirs = rates[_litellm(1)]
        ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
        peer = (Baseline(_litellm(1), pick(theirs, 50), "requests/s"),)
        rows.append(Row(NAME, pick(ours, 50) / pick(theirs, 50), "", GOAL, peer, spread_of(ratios)))
    for name, each in rates.items():
        reports = found[name]
        beside = (
            Baseline("p99 of an answer", pick(sorted(report.p99 for report in reports), 50), "ms"),
            Baseline("the generator's share of a core", max(report.busy for report in reports), ""),
        )
        rows.append(Row(f"requests/s: {name}", pick(each, 50), "requests/s", None, beside, spread_of(each)))
    for name, why in silent.items():
        rows.append(not_measured(f"requests/s: {name}", "requests/s", None, why))
    return rows


def _litellm(workers: int) -> str:
    return f"LiteLLM's proxy, {workers} worker{'s' if workers > 1 else ''}"


class _SilentError(Exception):
    """LiteLLM's proxy is not there, or did not come to answer; the words say why."""


def _litellm_behind(setting: Setting, processes: Processes, workers: int, backend: int) -> Order:
    """Start LiteLLM's proxy before the model server; returns what to ask it once it answers."""
    if setting.litellm.missing:
        raise _SilentError(setting.litellm.missing)
    config = {
        "model_list": [
            {
                "model_name": "bench",
                "litellm_params": {
                    "model": "openai/bench",
                    "api_base": f"http://127.0.0.1:{backend}/v1",
                    "api_key": "none",
                },
            }
        ],
        "general_settings": {"master_key": MASTER_KEY},
        "router_settings": {"num_retries": 0},
        "litellm_settings": {"telemetry": False, "set_verbose": False, "request_timeout": 60},
    }
    path, port = processes.work / f"litellm-{workers}.yaml", free_port()
    path.write_text(json.dumps(config))
    # The list of prices comes with the package; by default the newest is fetched from the network at the start.
    environment = {
        "LITELLM_LOG": "ERROR",
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    address = ("--host", "127.0.0.1", "--port", str(port))
    # Workers that take longer than 5 s to start would be killed and started again, for ever on a slow machine.
    many = ("--num_workers", str(workers), *(("--timeout_worker_healthcheck", "120") if workers > 1 else ()))
    command: list[str | Path] = [setting.litellm.command("litellm"), "--config", path, *address, *many]
    process = processes.start(
        f"litellm-{workers}", command, environment=environment, directory=processes.work
    )
    order = Order(port, ["/v1/chat/completions"], MASTER_KEY, BODY)
    try:
        processes.wait(_ready(order), "LiteLLM's proxy answered 200", every=0.2, patience=PATIENCE)
    except (RuntimeError, TimeoutError) as error:
        processes.forget(process)
        raise _SilentError(str(error)) from error
    return order


def _ready(order: Order) -> Callable[[], bool]:
    """Whether the order's own request is answered with 200."""
    request = order.bytes()[0]

    def ask() -> bool:
        try:
            client = Client(order.port)
        except OSError:
            return False
        try:
            return client.send(request)[0] == 200
        except OSError:
            return False
        finally:
            client.close()

    return ask
