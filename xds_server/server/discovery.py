"""The discovery services on gRPC: where streams come in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

import grpc
import grpc.aio

from xds_server.protocol import types as t
from xds_server.server.admission import Seats
from xds_server.server.fault import StreamFaultError
from xds_server.server.peer import Peer
from xds_server.server.session import DELTA, SOTW, Services, Session, Variant
from xds_server.server.waits import Waits, is_wait

AGGREGATED: Final = "envoy.service.discovery.v3.AggregatedDiscoveryService"

_SERVICES: Final = (
    (AGGREGATED, "", "AggregatedResources"),
    ("envoy.service.runtime.v3.RuntimeDiscoveryService", t.RUNTIME, "Runtime"),
    ("envoy.service.cluster.v3.ClusterDiscoveryService", t.CLUSTER, "Clusters"),
    ("envoy.service.endpoint.v3.EndpointDiscoveryService", t.ENDPOINT, "Endpoints"),
    ("envoy.service.secret.v3.SecretDiscoveryService", t.SECRET, "Secrets"),
    ("envoy.service.extension.v3.ExtensionConfigDiscoveryService", t.EXTENSION, "ExtensionConfigs"),
    ("envoy.service.listener.v3.ListenerDiscoveryService", t.LISTENER, "Listeners"),
    ("envoy.service.route.v3.ScopedRoutesDiscoveryService", t.SCOPE, "ScopedRoutes"),
    ("envoy.service.route.v3.RouteDiscoveryService", t.ROUTE, "Routes"),
)
"""Service, the type it serves (none: all, aggregated), and the methods' name after `Stream` and `Delta`:
https://www.envoyproxy.io/docs/envoy/latest/api-docs/xds_protocol#rpc-services-and-methods-for-each-variant"""

_Handler = Callable[[AsyncIterator[bytes], Any], Awaitable[None]]


class Discovery:
    """Serves all discovery services from one state; `close` ends the open streams."""

    def __init__(
        self,
        services: Services,
        seats: Seats,
        waits: Waits,
        peer_of: Callable[[Any], Peer | None] = lambda _: None,
    ) -> None:
        self._services = services
        self._seats = seats
        self._waits = waits
        self._peer_of = peer_of
        self._sessions: set[Session] = set()
        self._closed = False

    def add_to(self, server: grpc.aio.Server) -> None:
        """Register the services. No serializers: messages stay bytes."""
        handlers = tuple(
            grpc.method_handlers_generic_handler(
                service,
                {
                    f"Stream{methods}": grpc.stream_stream_rpc_method_handler(self._serve(SOTW, type_url)),
                    f"Delta{methods}": grpc.stream_stream_rpc_method_handler(self._serve(DELTA, type_url)),
                },
            )
            for service, type_url, methods in _SERVICES
        )
        server.add_generic_rpc_handlers(handlers)

    def close(self) -> None:
        """End the open streams, and those that may still come, at their next turn."""
        self._closed = True
        for session in self._sessions:
            session.close()

    def _serve(self, variant: Variant, default_type: str) -> _Handler:
        async def serve(requests: AsyncIterator[bytes], context: Any) -> None:
            if not self._seats.take():
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, self._seats.words)
            gauge = self._services.metrics.streams.labels(variant.name)
            gauge.inc()
            peer = self._peer_of(context)
            try:
                if (variant, default_type) == (DELTA, t.CLUSTER) and is_wait(context.invocation_metadata()):
                    await self._waits.hear(requests)
                else:
                    await self._run(Session(variant, self._services, default_type, peer), requests, context)
            except StreamFaultError as fault:
                await context.abort(fault.status, fault.words)
            finally:
                gauge.dec()
                self._seats.free()

        return serve

    async def _run(self, session: Session, requests: AsyncIterator[bytes], context: Any) -> None:
        if self._closed:
            session.close()
        self._sessions.add(session)
        try:
            await session.run(requests, context)
        finally:
            self._sessions.discard(session)
