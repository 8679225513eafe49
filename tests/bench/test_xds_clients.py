"""The driver of xDS clients does as Envoys do when a stream ends."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.process import Process, Processes
from tests.envoy_process import free_port

ALL = 3


def _serve(processes: Processes, port: int) -> Process:
    server = processes.start("bare", [sys.executable, "-m", "bench.bare_xds", str(port)], talk=True)
    server.hear()
    return server


def test_clients_that_lose_their_stream_come_back(tmp_path: Path) -> None:
    port = free_port()
    with Processes(tmp_path) as processes:
        server = _serve(processes, port)
        clients = processes.start(
            "clients", [sys.executable, "-m", "bench.xds_clients", str(port)], talk=True
        )
        clients.hear()
        clients.tell(f"connect {ALL}")
        assert json.loads(clients.hear()).keys() == {"began", "last"}
        clients.tell("change")
        assert json.loads(clients.hear()) == {"watching": True}
        processes.forget(server)
        _serve(processes, port)
        assert len(json.loads(clients.hear())["times"]) == ALL
