"""How long it takes from a saved policy to the first 200 through Envoy.

A new model's file is saved beside those that are there, and asked for on a kept-alive connection until it answers.
Beside it, in the same run, what one plain request takes: no change can be seen sooner than that.

Run: make bench  (or: python -m bench.freshness --models 10 1000 10000 --changes 100 --write)
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench.client import Client
from bench.policies import save_model, write_policies
from bench.stack import Stack, free_port
from bench.upstream import Upstream

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench" / "results.json"
PAGE = ROOT / "docs" / "benchmarks.md"
WARM_UP = 5
FLOOR_REQUESTS = 500
BETWEEN_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class Measured:
    """Milliseconds, sorted."""

    models: int
    changes: list[float]
    floor: list[float]

    def row(self) -> str:
        p50, p99 = pick(self.changes, 50), pick(self.changes, 99)
        floor = pick(self.floor, 50)
        return (
            f"| {self.models:,} | {p50:.1f} ms | {p99:.1f} ms | {self.changes[0]:.1f} – {self.changes[-1]:.1f} ms "
            f"| {floor:.2f} ms | {p50 / floor:.0f} |"
        )

    def results(self) -> list[dict[str, object]]:
        base = pick(self.floor, 50)
        return [
            {
                "name": f"policy saved to first 200, {self.models} models, p{percent}",
                "value": round(pick(self.changes, percent), 3),
                "unit": "ms",
                "goal": None,
                "met": None,
                "baseline": {"name": "one plain request, p50", "value": round(base, 4), "unit": "ms"},
            }
            for percent in (50, 99)
        ]


def pick(values: list[float], percent: int) -> float:
    """The nearest-rank percentile of sorted values."""
    return values[max(0, -(-len(values) * percent // 100) - 1)]


def measure(models: int, changes: int) -> Measured:
    """Run a stack of so many models and save new ones, one at a time."""
    upstream = Upstream()
    with tempfile.TemporaryDirectory(prefix="fairlead-bench-") as folder:
        work, listener = Path(folder), free_port()
        policies = work / "policies"
        write_policies(policies, listener=listener, backend=upstream.port, models=models)
        with Stack(policies, work) as stack:
            stack.wait_until_open(listener)
            client = Client(listener, stack.token())
            wait_for(client, f"/acme/models/m{models - 1}")
            floor = sorted(time_request(client, f"/acme/models/m{models - 1}") for _ in range(FLOOR_REQUESTS))
            taken = []
            for index in range(WARM_UP + changes):
                time.sleep(
                    BETWEEN_SECONDS
                )  # each change meets an idle system: what is measured is one change
                name = f"new{index}"
                started = time.perf_counter()
                save_model(policies, name, upstream.port)
                wait_for(client, f"/acme/models/{name}")
                taken.append((time.perf_counter() - started) * 1000)
            client.close()
    upstream.close()
    return Measured(models, sorted(taken[WARM_UP:]), floor)


def wait_for(client: Client, path: str) -> None:
    """Ask until the answer is 200. Any other answer than 404 or 503 is an error."""
    limit = time.monotonic() + 120
    while (status := client.get(path)) != 200:
        if status not in (404, 503) or time.monotonic() > limit:
            raise RuntimeError(f"{path} answers {status}")


def time_request(client: Client, path: str) -> float:
    """Milliseconds of one request."""
    started = time.perf_counter()
    client.get(path)
    return (time.perf_counter() - started) * 1000


def write_page(measured: list[Measured]) -> None:
    """Write the numbers, with the command that made them, to the docs."""
    rows = "\n".join(each.row() for each in measured)
    changes = len(measured[0].changes)
    sizes = " ".join(str(each.models) for each in measured)
    command = f"python -m bench.freshness --models {sizes} --changes {changes} --write"
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
    PAGE.write_text(
        f"""# Benchmarks

Made by `make bench` (`{command}`), on {machine}.
The control plane, Envoy (one worker), the model server and the client share those cores. Absolute times depend on the
machine; the last column is a ratio to a baseline of the same run.

## Policy saved → first 200 through Envoy

A new model's YAML file is saved beside the others; a client with a token asks for it on a kept-alive connection until
it answers 200. {changes} changes for each size, one at a time, all models delivered eagerly. The baseline is one plain
request to a model that is there, median of {FLOOR_REQUESTS}.

| models | p50 | p99 | min – max | baseline p50 | p50 ÷ baseline |
|---|---|---|---|---|---|
{rows}
"""
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=int, nargs="+", default=[10, 1000, 10_000])
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--write", action="store_true", help=f"write {RESULTS.name} and {PAGE.name}")
    arguments = parser.parse_args()
    print("| models | p50 | p99 | min – max | baseline p50 | p50 ÷ baseline |")
    measured = []
    for models in arguments.models:
        measured.append(measure(models, arguments.changes))
        print(measured[-1].row(), flush=True)
    if arguments.write:
        RESULTS.write_text(json.dumps([row for each in measured for row in each.results()], indent=2) + "\n")
        write_page(measured)


if __name__ == "__main__":
    main()
