from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from typing import Any

import pytest
from structlog.testing import capture_logs

from tests.xds.raw_client import RawClient
from tests.xds.simple_fleet import upstream
from xds_server.protocol import Timing
from xds_server.server import ControlPlane
from xds_server.snapshot import Catalogue, Layer, Resource, layer

Publish = Callable[..., Awaitable[None]]


@pytest.fixture
async def plane() -> AsyncIterator[ControlPlane]:
    """A control plane on free ports, before its first catalogue."""
    server = ControlPlane(
        xds_address="127.0.0.1:0", admin_address="127.0.0.1:0", timing=Timing(cluster_grace=0.05)
    )
    await server.start()
    yield server
    await server.stop(0.5)


@pytest.fixture
def publish(plane: ControlPlane) -> Publish:
    """Publish resources for the whole fleet of gateway `edge`."""
    generation = 0

    async def publish(
        *resources: Resource, gateways: Mapping[str, Layer] | None = None, **options: Any
    ) -> None:
        nonlocal generation
        generation += 1
        found = {"edge": {}} if gateways is None else gateways
        await plane.publish(Catalogue(generation, shared=layer(resources), gateways=found, **options))

    return publish


@pytest.fixture
async def connect(plane: ControlPlane) -> AsyncIterator[Callable[..., RawClient]]:
    """Open raw clients; each has a connection of its own, and is closed at the end."""
    clients: list[RawClient] = []

    def connect(variant: str = "delta", **options: Any) -> RawClient:
        client = RawClient(plane.xds_port, variant, **options)
        clients.append(client)
        return client

    yield connect
    for client in clients:
        await client.close()


@pytest.fixture
def logged() -> Any:
    with capture_logs() as entries:
        yield entries


@pytest.fixture
def upstreams() -> Iterator[tuple[int, int]]:
    """Two HTTP servers, by their ports: each answers `one` or `two`."""
    with upstream("one") as one, upstream("two") as two:
        yield one, two
