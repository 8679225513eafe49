"""gRPC's own xDS client in a process of its own, and the gRPC servers that it calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import grpc

_ROOT = Path(__file__).parents[2]


class GrpcClient:
    """Calls `target`, which it looks up at `xds_port` as a node of the gateway."""

    def __init__(self, target: str, xds_port: int, *, gateway: str = "services", region: str = "lab") -> None:
        server = {
            "server_uri": f"127.0.0.1:{xds_port}",
            "channel_creds": [{"type": "insecure"}],
            "server_features": ["xds_v3"],
        }
        node = {"id": "grpc-1", "cluster": gateway, "locality": {"region": region}}
        bootstrap = json.dumps({"xds_servers": [server], "node": node})
        self._target = target
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.xds.grpc_caller"],
            cwd=_ROOT,
            env={**os.environ, "GRPC_XDS_BOOTSTRAP_CONFIG": bootstrap, "no_proxy": "*"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def ask(self, target: str = "") -> dict[str, str]:
        """Call once, another target if named: `answer`, or `code` and `details`."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{target or self._target}\n")
        self._process.stdin.flush()
        told: dict[str, str] = json.loads(self._process.stdout.readline())
        return told

    def call(self, target: str = "") -> str:
        """Call once, another target if named; returns the answer, or the code of the error."""
        told = self.ask(target)
        return told.get("answer") or told["code"]


class _Say(grpc.GenericRpcHandler):
    def __init__(self, words: str) -> None:
        self._words = words.encode()

    def service(self, _details: Any) -> Any:
        return grpc.unary_unary_rpc_method_handler(lambda _request, _context: self._words)


@contextmanager
def grpc_backend(words: str) -> Iterator[int]:
    """A gRPC server that says the same words to every call; yields its port."""
    server = grpc.server(ThreadPoolExecutor(4), handlers=[_Say(words)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield port
    finally:
        server.stop(0).wait()
