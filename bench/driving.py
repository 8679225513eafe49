"""Starts the load generator as a process beside others, and reads what it found."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict

from bench.load import Order, Report
from bench.peer import ROOT
from bench.process import Process, Processes


class Load:
    """A load that runs from its making until `report`."""

    def __init__(self, processes: Processes, order: Order) -> None:
        self._processes = processes
        command = [sys.executable, "-m", "bench.load"]
        self._process: Process = processes.start("load", command, directory=ROOT, talk=True)
        self._process.tell(json.dumps(asdict(order)))
        if self._process.hear() != "open\n":
            raise RuntimeError(f"the load generator did not start: {self._process.tail()}")

    def stop(self) -> Report:
        """End it before its time, and say what it found."""
        self._process.tell("")
        return self.report()

    def report(self) -> Report:
        """Wait until its time is over, and say what it found."""
        report = Report(**json.loads(self._process.hear()))
        self._processes.forget(self._process)
        return report


def drive(processes: Processes, order: Order) -> Report:
    """Run a load from its beginning to its end."""
    return Load(processes, order).report()
