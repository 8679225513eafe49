"""Break each promise of the run endpoint once, and see that the tests through the real Envoy notice.

A copy of xds_server gets one mutant of mutants.yaml at a time, and the tests that must notice it run against the copy.
The exit code is 1 if a mutant survives, that is, if one of them does not fail.
"""

from __future__ import annotations

import argparse
import sys
import time

from tests.mutants import mutant as listing
from tests.mutants import page
from tests.mutants.verdict import check_unbroken, judge


def main() -> int:
    names = listing.mutants()
    parser = argparse.ArgumentParser(
        prog="python -m tests.mutants",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", action="append", metavar="NAME", help="one mutant (repeatable)")
    parser.add_argument("--write", action="store_true", help="write the table into docs/testing.md")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.only or () if name not in names]
    if unknown:
        parser.error(f"no mutant is called {', '.join(unknown)}; there are: {', '.join(names)}")
    if arguments.write and arguments.only:
        parser.error("--write is for all of them: without --only")
    chosen = [names[name] for name in arguments.only or names]
    started = time.monotonic()
    check_unbroken(chosen)
    _say(f"unbroken: all pass, {time.monotonic() - started:.0f} s")
    verdicts = {}
    for verdict in judge(chosen):
        verdicts[verdict.mutant.name] = verdict
        told = f"SURVIVED, {verdict.outcome}" if verdict.survived else "noticed"
        _say(f"{verdict.mutant.name}: {told}, {time.monotonic() - started:.0f} s")
    table = page.table(listing.rows(), verdicts)
    _say(f"\n{table}")
    if arguments.write:
        page.write(table)
    return int(any(verdict.survived for verdict in verdicts.values()))


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
