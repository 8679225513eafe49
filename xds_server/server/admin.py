"""The control plane's own HTTP: is it alive, is it ready, what does each node hold."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from xds_server.server.door import Connection, Door
from xds_server.server.load_reports import LoadReports
from xds_server.server.metrics import CONTENT_TYPE, Metrics
from xds_server.server.nodes import NodeStatus
from xds_server.server.readiness import Readiness

GRACE: Final = 1
"""Seconds that requests being answered are given at the end."""

CONNECTIONS: Final = 64
"""At once. Whoever scrapes and probes has a handful, and what they hold open the process lacks elsewhere."""

_IDLE: Final = 10
"""Seconds that a connection may be without a request: longer than clients keep one that they mean to use again."""


def application(
    metrics: Metrics,
    nodes: NodeStatus,
    readiness: Readiness,
    loads: LoadReports,
    further: Iterable[BaseRoute] = (),
) -> Starlette:
    """Make the application: `/metrics`, `/healthz`, `/readyz`, `/loads`, `/nodes`, `/nodes/<id>`, `further` pages."""

    async def metrics_page(_: Request) -> Response:
        metrics.nodes.set(nodes.connected())
        metrics.refused_resources.set(nodes.refused())
        return Response(metrics.render(), media_type=CONTENT_TYPE)

    async def healthz(_: Request) -> Response:
        return JSONResponse({"alive": True})

    async def readyz(_: Request) -> Response:
        return JSONResponse(readiness.describe(), status_code=200 if readiness.ready else 503)

    async def all_nodes(_: Request) -> Response:
        return JSONResponse({"generation": readiness.generation, "nodes": nodes.all()})

    async def one_node(request: Request) -> Response:
        found = nodes.one(request.path_params["id"])
        if found is None:
            return JSONResponse({"error": "no such node"}, status_code=404)
        return JSONResponse(found)

    async def all_loads(_: Request) -> Response:
        return JSONResponse(loads.describe())

    return Starlette(
        routes=[
            Route("/metrics", metrics_page),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/loads", all_loads),
            Route("/nodes", all_nodes),
            Route("/nodes/{id:path}", one_node),
            *further,
        ]
    )


class _Server(uvicorn.Server):
    """uvicorn's own, behind a `Door`, which accepts in its place."""

    def __init__(self, config: uvicorn.Config, most: int) -> None:
        super().__init__(config)
        self._most = most
        self._doors: list[asyncio.Task[None]] = []

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to accept."""
        await self.lifespan.startup()
        self.servers = []
        for each in sockets or []:
            door = Door(each, self._welcome, self._most, self.config.ssl)
            self._doors.append(asyncio.create_task(door.run(), name="door"))
        self.started = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, and end what is there as uvicorn does."""
        for each in self._doors:
            each.cancel()
        await asyncio.gather(*self._doors, return_exceptions=True)
        await super().shutdown(sockets)

    def _welcome(self) -> Connection:
        return Connection(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the command, which stops everything in order."""
        yield


class AdminServer:
    """Serves an application on a socket, in the running event loop; over TLS with a certificate and its key.

    ``most`` connections at once, and each for a bounded time (`Door`).
    """

    def __init__(
        self,
        app: Starlette,
        listening: socket.socket,
        pair: tuple[Path, Path] | None = None,
        most: int = CONNECTIONS,
    ) -> None:
        self._socket = listening
        certificate, key = pair or (None, None)
        self._server = _Server(
            uvicorn.Config(
                app,
                http=Connection,
                ws="none",
                timeout_keep_alive=_IDLE,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=GRACE,
                ssl_certfile=certificate,
                ssl_keyfile=key,
            ),
            most,
        )
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to serve."""
        self._task = asyncio.create_task(self._server.serve(sockets=[self._socket]))

    async def stop(self) -> None:
        """Close the port and wait for the requests being answered."""
        self._server.should_exit = True
        if self._task is not None:
            await self._task
        self._socket.close()
