"""Processes that a benchmark starts end with it, whatever happens."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bench.process import Processes
from tests.envoy_process import wait_until

_PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before it was opened, or before it was read
        return False


def test_a_process_and_what_it_started_are_gone_after_a_failure(tmp_path: Path) -> None:
    started: list[int] = []

    def work() -> None:
        with Processes(tmp_path) as processes:
            process = processes.start("parent", [sys.executable, "-c", _PARENT], talk=True)
            started.extend((process.pid, int(process.hear())))
            assert all(_lives(pid) for pid in started)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    wait_until(lambda: not any(_lives(pid) for pid in started), "both are gone")


def test_a_process_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        processes.start("hasty", [sys.executable, "-c", "print('no such thing')"])
        with pytest.raises(RuntimeError, match="hasty ended before it was there:\nno such thing"):
            processes.wait(lambda: False, "it was there")


def test_a_process_tells_its_memory_and_its_work(tmp_path: Path) -> None:
    with Processes(tmp_path) as processes:
        code = "sum(range(10**6)); print('done', flush=True); input()"
        process = processes.start("worker", [sys.executable, "-c", code], talk=True)
        process.hear()
        assert process.worked() > 0
        assert process.resident() > os.sysconf("SC_PAGE_SIZE")
        process.tell("")
