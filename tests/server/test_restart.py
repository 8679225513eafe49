"""What a restarted control plane knows of the one before."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.manifest import backend, manifest, put, revision, workload, write
from tests.e2e.tokens import TestIssuer
from tests.server.test_publisher import CLUSTER, EDGE, Reader
from tests.xds.raw_client import PATIENCE
from xds_server.archive import Archive
from xds_server.compiler import Compiler
from xds_server.graph import Graph
from xds_server.server import ControlPlane
from xds_server.server.pipeline import Pipeline
from xds_server.snapshot import Catalogue, View
from xds_server.sources import FolderSource

_OLD, _NEW = (f"acme/models/llama/production/{name}" for name in ("old", "new"))


def save(folder: Path, name: str) -> None:
    write(
        folder,
        "fleet.yaml",
        [
            manifest("Gateway", "edge", listeners=[{"name": "run", "port": 10000}]),
            manifest("Issuer", "main", issuer="https://m.test", audiences=["a"], jwks={"file": "keys.json"}),
            manifest("Workspace", "acme", issuers=["main"]),
            workload(
                "llama",
                "acme",
                {"production": [revision(name, backend("eu-west-3", "127.0.0.1:1"))]},
            ),
        ],
    )


async def first_view(folder: Path, state: Path) -> View:
    """Run a control plane until it serves and what it serves is on disk; what it shows a client."""
    archive = Archive(state, folder)
    pipeline = Pipeline(FolderSource(folder), archive=archive, pause=0.0)
    plane, reader = ControlPlane(xds_address="127.0.0.1:0", admin_address="127.0.0.1:0"), Reader()
    running = asyncio.create_task(pipeline.run(plane))
    async with asyncio.timeout(PATIENCE):
        await plane.publisher.attach(reader, EDGE)
        while not reader.seen:
            await asyncio.sleep(0.01)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    return reader.seen[0][0]


async def test_I4_H8_a_restart_with_another_input_knows_what_clients_may_still_hold(tmp_path: Path) -> None:
    folder, state = tmp_path / "policies", tmp_path / "state"
    put(folder / "keys.json", TestIssuer.make("https://m.test").jwks())
    save(folder, "old")
    before = await first_view(folder, state)
    assert before.gone(CLUSTER) == {}
    save(folder, "new")
    after = await first_view(folder, state)
    assert set(after.names(CLUSTER)) == {_NEW}
    assert after.gone(CLUSTER) == {_OLD: before.get(CLUSTER, _OLD)}


async def test_H8_after_a_restart_with_the_same_input_nothing_is_gone(tmp_path: Path) -> None:
    folder, state = tmp_path / "policies", tmp_path / "state"
    put(folder / "keys.json", TestIssuer.make("https://m.test").jwks())
    save(folder, "old")
    before = await first_view(folder, state)
    after = await first_view(folder, state)
    assert after.gone(CLUSTER) == {}
    assert after.version(CLUSTER) == before.version(CLUSTER)


async def test_H9_what_is_on_disk_and_cannot_be_compiled_does_not_end_the_pipeline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, state, away = tmp_path / "policies", tmp_path / "state", tmp_path / "away"
    put(folder / "keys.json", TestIssuer.make("https://m.test").jwks())
    save(folder, "old")
    await first_view(folder, state)
    folder.rename(away)
    tried, compile_graph = asyncio.Event(), Compiler.compile
    loop = asyncio.get_running_loop()

    def fail(self: Compiler, graph: Graph) -> Catalogue:
        monkeypatch.setattr(Compiler, "compile", compile_graph)
        away.rename(folder)
        loop.call_soon_threadsafe(tried.set)
        raise RuntimeError("cannot be compiled")

    monkeypatch.setattr(Compiler, "compile", fail)
    view = await first_view(folder, state)
    assert tried.is_set()
    assert set(view.names(CLUSTER)) == {_OLD}
