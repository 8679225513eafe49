"""The control plane, in a thread of the test's own process: policies from a folder in, xDS out."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import certifi

from tests.envoy_process import free_port
from xds_server.compiler import Compiler
from xds_server.graph import Builder, Built, Graph
from xds_server.policy import load
from xds_server.server import ControlPlane

Result = TypeVar("Result")
GRACE = 0.5


class ControlRoom:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._builder, self._compiler = Builder(), Compiler(certifi.contents())

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="control plane", daemon=True)
        self._thread.start()
        self.plane = self.call(self._make())
        self.apply()

    async def _make(self) -> ControlPlane:
        plane = ControlPlane(xds_address=f"127.0.0.1:{self.port}", admin_address="127.0.0.1:0")
        await plane.start()
        return plane

    def apply(self) -> Built:
        files, attachments = {}, {}
        for each in self.folder.rglob("*"):
            if each.is_file():
                name = str(each.relative_to(self.folder))
                if each.suffix == ".yaml":
                    files[name] = each.read_text()
                else:
                    attachments[name] = each.read_bytes()
        loaded = load(files, attachments)
        built = self._builder.build(loaded)
        assert not built.errors, "\n".join(map(str, built.errors))
        self.graph = built.graph
        self.call(self.plane.publish(self._compiler.compile(built.graph)))
        return built

    def stop(self) -> None:
        self.call(self.plane.stop(GRACE))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def call(self, work: Coroutine[Any, Any, Result]) -> Result:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(30)

    def settled(self, nodes: set[str]) -> bool:
        async def look() -> bool:
            generation = self.plane.readiness.generation
            ready = {
                node["id"]
                for node in self.plane.nodes.all()
                if node["connected"]
                and node["synced"]
                and all(s["generation"] == generation for s in node["streams"])
            }
            return nodes <= ready

        return self.call(look())
