"""Measure Fairlead beside baselines of the same run, on this machine.

Prints a table; with --write it also writes bench/results.json, docs/benchmarks.md and docs/benchmarks.svg.
A scenario that fails is told as one, and the others go on; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
import traceback

from bench import page, registry, results
from bench.peer import Peer
from bench.row import not_measured
from bench.setting import Setting
from bench.table import table


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", action="append", choices=registry.NAMES, help="one scenario (repeatable)")
    parser.add_argument(
        "--quick", action="store_true", help="small sizes: shows that the benchmark works, no more"
    )
    parser.add_argument("--write", action="store_true", help="write the results, the page and the plot")
    parser.add_argument(
        "--keep", action="store_true", help="keep the folders of all processes, with their logs"
    )
    parser.add_argument("--models", type=int, help="the larger number of models of `restart`, if not 100,000")
    arguments = parser.parse_args()
    if arguments.write and arguments.quick:
        parser.error("--write is for sizes that say something: without --quick")
    if arguments.write and arguments.models is not None:
        parser.error("--write is for the sizes that goals speak of: without --models")
    # Processes are ended on the way out of each block; signals have to take that way, even where a shell that put
    # this into the background has Ctrl-C ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    setting = Setting(arguments.quick, Peer("sovereign"), Peer("litellm"), arguments.keep, arguments.models)
    measured: list[results.Measured] = []
    failed = False
    began = time.monotonic()
    for each in registry.scenarios():
        if arguments.only and each.name not in arguments.only:
            continue
        started = time.monotonic()
        print(f"\n{each.title} ({each.name})", flush=True)
        try:
            rows = each.measure(setting)
        except Exception as error:  # noqa: BLE001 - what one scenario meets must not keep the others from being run
            traceback.print_exc()
            rows, failed = [not_measured(each.title, "", None, f"it failed: {error}")], True
        took = time.monotonic() - started
        measured.append(results.Measured(each, rows, took))
        print(table(rows), f"took {took:.0f} s", sep="\n", flush=True)
    print(f"\nin all {time.monotonic() - began:.0f} s")
    if arguments.quick:
        print("These are small sizes: they show that the benchmark works, and nothing about the goals.")
    if arguments.write:
        results.write(measured)
        page.write(measured)
    return int(failed)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
