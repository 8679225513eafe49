"""The control plane as one object: start it, publish to it, stop it."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from xds_server.protocol import DeltaStream, SotwStream, Stream, Timing
from xds_server.server.admin import AdminServer, application
from xds_server.server.discovery import AGGREGATED, Discovery
from xds_server.server.metrics import Metrics
from xds_server.server.nodes import NodeStatus
from xds_server.server.port import PortTaken, bind, split
from xds_server.server.publisher import Publisher
from xds_server.server.readiness import Readiness
from xds_server.server.session import Services
from xds_server.server.wire_format import Encoder
from xds_server.snapshot import Catalogue

log = structlog.get_logger("fairlead.server")

_LARGEST_REQUEST: Final = 64 << 20
"""A client that comes back lists all it holds with versions: far over gRPC's default of 4 MiB."""

_OPTIONS: Final[tuple[tuple[str, Any], ...]] = (
    ("grpc.max_receive_message_length", _LARGEST_REQUEST),
    ("grpc.max_send_message_length", -1),
    # A second server on the same port would silently take half of the streams.
    ("grpc.so_reuseport", 0),
    # A peer that vanished without a word is noticed within 40 s, its streams and state are freed.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
)


class ControlPlane:
    """Serves catalogues over xDS, and tells of itself over HTTP.

    `xds_address` and `admin_address` are `host:port`; with port 0 any free one is taken, and `xds_port` and
    `admin_port` say which. `max_stream_age` (seconds) closes connections after that time, spread a little,
    so that clients spread over replicas; `None` leaves them open.
    """

    def __init__(
        self,
        *,
        xds_address: str = "127.0.0.1:18000",
        admin_address: str = "127.0.0.1:18001",
        identifier: str = "fairlead",
        timing: Timing | None = None,
        max_stream_age: float | None = None,
    ) -> None:
        self.metrics = Metrics()
        self.readiness = Readiness()
        self.nodes = NodeStatus()
        self.publisher = Publisher(self.metrics)
        self.xds_port = 0
        self.admin_port = 0
        self._xds_address = xds_address
        self._admin_address = admin_address
        self._timing = timing or Timing()
        self._max_stream_age = max_stream_age
        self._discovery = Discovery(
            Services(self.publisher, self.nodes, self.metrics, Encoder(identifier), self._make_stream)
        )
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._admin: AdminServer | None = None

    def _make_stream(self, kind: type[DeltaStream | SotwStream], prefix: str) -> Stream[Any]:
        return kind(nonce_prefix=prefix, timing=self._timing)

    async def start(self) -> None:
        """Open both ports and serve. Raises `PortTaken` or `ValueError` for an address that cannot be had."""
        admin = bind(self._admin_address, "the admin HTTP of the control plane")
        try:
            await self._start_xds()
        except BaseException:
            admin.close()
            raise
        self.admin_port = admin.getsockname()[1]
        self._admin = AdminServer(application(self.metrics, self.nodes, self.readiness), admin)
        self._admin.start()
        log.info(
            "serving",
            xds=self._shown(self._xds_address, self.xds_port),
            admin=self._shown(self._admin_address, self.admin_port),
        )

    async def _start_xds(self) -> None:
        # gRPC only says that it failed to bind; a socket of our own says why. It is closed before gRPC
        # takes the port.
        bind(self._xds_address, "xDS").close()
        options = list(_OPTIONS)
        if self._max_stream_age is not None:
            options.append(("grpc.max_connection_age_ms", int(self._max_stream_age * 1000)))
            options.append(("grpc.max_connection_age_grace_ms", 1000))
        server = grpc.aio.server(options=options)
        self._discovery.add_to(server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        await self._set_health(serving=False)
        try:
            self.xds_port = server.add_insecure_port(self._xds_address)
        except RuntimeError as error:
            raise PortTaken(self._xds_address, "xDS") from error
        await server.start()
        self._server = server

    @staticmethod
    def _shown(address: str, port: int) -> str:
        return f"{split(address)[0]}:{port}"

    async def publish(self, catalogue: Catalogue) -> None:
        """Make a catalogue the one that is served; returns when all streams were told what changed."""
        await self.publisher.publish(catalogue)
        first = not self.readiness.ready
        self.readiness.generation = catalogue.generation
        if first:
            await self._set_health(serving=True)
            log.info("ready", generation=catalogue.generation)

    async def _set_health(self, *, serving: bool) -> None:
        states = health_pb2.HealthCheckResponse
        status = states.SERVING if serving else states.NOT_SERVING
        for service in ("", AGGREGATED):
            await self._health.set(service, status)

    async def stop(self, grace: float = 2.0) -> None:
        """Close streams and ports; what has not ended after `grace` seconds is cut. May be called again."""
        server, self._server = self._server, None
        admin, self._admin = self._admin, None
        if server is not None:
            await self._health.enter_graceful_shutdown()
            self._discovery.close()
            await server.stop(grace)
        if admin is not None:
            await admin.stop()
        if server is not None or admin is not None:
            log.info("stopped")

    async def __aenter__(self) -> ControlPlane:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(self.stop())
