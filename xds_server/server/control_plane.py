"""The control plane as one object: start it, publish to it, stop it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from time import time
from typing import Any, Final

import grpc
import grpc.aio
import structlog
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from starlette.routing import BaseRoute

from xds_server.protocol import DeltaStream, SotwStream, Stream, Timing
from xds_server.protocol.types import CLUSTER
from xds_server.server.admin import GRACE, AdminServer, application
from xds_server.server.admission import Seats, Turns
from xds_server.server.client_status import ClientStatus
from xds_server.server.discovery import AGGREGATED, Discovery
from xds_server.server.ending import end
from xds_server.server.load_reports import LoadReports
from xds_server.server.load_service import LoadService
from xds_server.server.membership import Membership
from xds_server.server.metrics import Metrics
from xds_server.server.nodes import NodeStatus
from xds_server.server.outlook import Sights
from xds_server.server.pacing import Pacing
from xds_server.server.peer import peer_of
from xds_server.server.port import PortTaken, bind, split
from xds_server.server.publisher import NOTHING_PREPARED, Publisher
from xds_server.server.readiness import Readiness
from xds_server.server.session import Services
from xds_server.server.tls import Certificates, Tls
from xds_server.server.transport import Keepalive, Limits, options
from xds_server.server.waits import Waits
from xds_server.server.wire_format import Encoder
from xds_server.snapshot import Catalogue

log = structlog.get_logger("fairlead.server")

MARGIN: Final = 3.0
"""Seconds beyond its grace that a part is given to end."""


class ControlPlane:
    """Serves catalogues over xDS, and tells of itself over HTTP.

    `xds_address` and `admin_address` are `host:port`; with port 0 any free one is taken, and `xds_port` and
    `admin_port` say which. `max_stream_age` (seconds) closes connections after that time, spread a little,
    so that clients spread over replicas; `None` leaves them open. Without `tls` xDS is plain text, and nobody
    is asked who they are. Nodes report their load every `load_interval` seconds. Raises `BadCertificateError`.
    """

    def __init__(
        self,
        *,
        xds_address: str = "127.0.0.1:18000",
        admin_address: str = "127.0.0.1:18001",
        identifier: str = "fairlead",
        timing: Timing | None = None,
        max_stream_age: float | None = None,
        tls: Tls | None = None,
        limits: Limits | None = None,
        keepalive: Keepalive | None = None,
        load_interval: float = 10.0,
        pages: Iterable[BaseRoute] = (),
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
        self._pages = tuple(pages)
        self._options = options(keepalive or Keepalive(), max_stream_age)
        self._certificates = Certificates(tls) if tls is not None else None
        peers = tls is not None and tls.client_ca is not None
        self._peer_of = peer_of if peers else lambda _: None
        limits = limits or Limits()
        turns = Turns(limits.first_exchanges, limits.first_exchange_seconds)
        membership = Membership(self.publisher)
        seats = Seats(limits.streams, self.metrics.streams_refused)
        services = Services(
            self.publisher,
            self.nodes,
            self.metrics,
            Encoder(identifier),
            self._make_stream,
            Pacing(turns, self.metrics.admitted, self.metrics.queued),
            membership,
        )
        self.waits = Waits(membership, seats)
        self._discovery = Discovery(services, seats, self.waits, self._peer_of)
        self.loads = LoadReports(self.metrics.loads, self._is_cluster, time)
        self._load_service = LoadService(self.loads, self.nodes, membership, seats, load_interval)
        self._client_status = ClientStatus(self.nodes, seats, membership)
        self._health = health.aio.HealthServicer()
        self._server: grpc.aio.Server | None = None
        self._admin: AdminServer | None = None

    def add_pages(self, pages: Iterable[BaseRoute]) -> None:
        """Serve further pages on the admin HTTP, from the start on."""
        self._pages = (*self._pages, *pages)

    def _make_stream(self, kind: type[DeltaStream | SotwStream], prefix: str) -> Stream[Any]:
        return kind(nonce_prefix=prefix, timing=self._timing)

    def _is_cluster(self, name: str) -> bool:
        return self.publisher.knows(CLUSTER, name)

    async def start(self) -> None:
        """Open both ports and serve. Raises `PortTaken` or `ValueError` for an address that cannot be had."""
        admin = bind(self._admin_address, "the admin HTTP of the control plane")
        try:
            await self._start_xds()
        except BaseException:
            admin.close()
            raise
        self.admin_port = admin.getsockname()[1]
        pages = application(self.metrics, self.nodes, self.readiness, self.loads, self._pages)
        self._admin = AdminServer(pages, admin)
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
        server = grpc.aio.server(options=self._options)
        self._discovery.add_to(server)
        self._client_status.add_to(server, self._peer_of)
        self._load_service.add_to(server, self._peer_of)
        self.waits.add_to(server, self._peer_of)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        await self._set_health(serving=False)
        try:
            if self._certificates is not None:
                self.xds_port = server.add_secure_port(self._xds_address, self._certificates.credentials())
            else:
                self.xds_port = server.add_insecure_port(self._xds_address)
        except RuntimeError as error:
            raise PortTaken(self._xds_address, "xDS") from error
        await server.start()
        self._server = server

    @staticmethod
    def _shown(address: str, port: int) -> str:
        return f"{split(address)[0]}:{port}"

    async def publish(self, catalogue: Catalogue, prepared: Sights = NOTHING_PREPARED) -> None:
        """Make a catalogue the one that is served; returns when all streams were told what changed.

        `prepared` is what `Publisher.prepare` made of it.
        """
        await self.publisher.publish(catalogue, prepared)
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
        """Close streams and ports; what has not ended after `grace` seconds is cut. May be called again.

        A part that does not end even so is left, with a warning that names it.
        """
        server, self._server = self._server, None
        admin, self._admin = self._admin, None
        if server is not None:
            await end("gRPC", self._stop_xds(server, grace), grace + MARGIN)
        if admin is not None:
            await end("admin HTTP", admin.stop(), GRACE + MARGIN)
        if server is not None or admin is not None:
            log.info("stopped")

    async def _stop_xds(self, server: grpc.aio.Server, grace: float) -> None:
        await self._health.enter_graceful_shutdown()
        for service in (self._discovery, self._load_service, self._client_status, self.waits):
            service.close()
        await server.stop(grace)

    async def __aenter__(self) -> ControlPlane:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.shield(self.stop())
