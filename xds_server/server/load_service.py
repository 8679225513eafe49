"""LRS: nodes report their load.

https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/load_stats/v3/lrs.proto
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Final

import grpc
import grpc.aio
import structlog
from google.protobuf.message import DecodeError

from xds_server.protocol import Node
from xds_server.protocol.types import CLUSTER
from xds_server.server.admission import Seats
from xds_server.server.closing import Closing
from xds_server.server.fault import StreamFaultError
from xds_server.server.load_reports import Load, LoadReports, Place
from xds_server.server.membership import Membership
from xds_server.server.nodes import NodeStatus
from xds_server.server.peer import Peer
from xds_server.server.wire_format import MalformedRequestError, read_node
from xds_server.wire import message_class

log = structlog.get_logger("fairlead.loads")

SERVICE: Final = "envoy.service.load_stats.v3.LoadReportingService"
ALL_CLUSTERS: Final = "envoy.lrs.supports_send_all_clusters"
_V3: Final = "envoy.service.load_stats.v3."


class LoadService:
    """Asks each client that opens a stream for a report every `interval` seconds, and keeps what it says."""

    def __init__(
        self,
        reports: LoadReports,
        nodes: NodeStatus,
        membership: Membership,
        seats: Seats,
        interval: float,
    ) -> None:
        self._reports = reports
        self._nodes = nodes
        self._membership = membership
        self._seats = seats
        self._interval = interval
        self._closing = Closing()

    def close(self) -> None:
        """End the open streams."""
        self._closing.close()

    def add_to(self, server: grpc.aio.Server, peer_of: Callable[[Any], Peer | None]) -> None:
        """Register the service. No serializers: messages stay bytes."""

        async def serve(requests: AsyncIterator[bytes], context: Any) -> None:
            if not self._seats.take():
                await context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, self._seats.words)
            try:
                await self._serve(requests, context, peer_of(context))
            except StreamFaultError as fault:
                await context.abort(fault.status, fault.words)
            finally:
                self._seats.free()

        methods = {"StreamLoadStats": grpc.stream_stream_rpc_method_handler(serve)}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, methods),))

    async def _serve(self, requests: AsyncIterator[bytes], sink: Any, peer: Peer | None) -> None:
        node: Node | None = None
        told: tuple[str, ...] | None = None
        try:
            async for payload in self._closing.read(requests):
                message = _parse(payload)
                if node is None:
                    node = self._meet(message, peer)
                    self._reports.join(node)
                self._reports.take(node, _rows(message), _find_seconds(message), _names(message))
                wanted = self._wanted(node, peer)
                if wanted != told:
                    told = wanted
                    await sink.write(self._answer(node, wanted))
        finally:
            if node is not None:
                self._reports.leave(node)
                log.info("node stopped to report its load", node=node.id)

    def _meet(self, message: Any, peer: Peer | None) -> Node:
        if not message.node.id:
            raise StreamFaultError(grpc.StatusCode.INVALID_ARGUMENT, "the first request must carry node.id")
        try:
            node = read_node(message.node)
        except MalformedRequestError as error:
            raise StreamFaultError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        self._membership.require_of(node, peer)
        log.info("node reports its load", node=node.id, gateway=node.cluster, region=node.region)
        return node

    def _wanted(self, node: Node, peer: Peer | None) -> tuple[str, ...]:
        """Name the clusters to report of; a node that knows of all of them is not told any."""
        gateway = self._membership.require_of(node, peer)
        return () if ALL_CLUSTERS in node.features else tuple(self._nodes.held(node.id, gateway, CLUSTER))

    def _answer(self, node: Node, clusters: tuple[str, ...]) -> bytes:
        answer: Any = message_class(_V3 + "LoadStatsResponse")()
        answer.send_all_clusters = ALL_CLUSTERS in node.features
        answer.clusters.extend(clusters)
        answer.load_reporting_interval.FromMilliseconds(int(self._interval * 1000))
        encoded: bytes = answer.SerializeToString()
        return encoded


def _parse(payload: bytes) -> Any:
    message: Any = message_class(_V3 + "LoadStatsRequest")()
    try:
        message.ParseFromString(payload)
    except DecodeError as error:
        words = f"not a LoadStatsRequest: {error}"
        raise StreamFaultError(grpc.StatusCode.INVALID_ARGUMENT, words) from error
    return message


def _find_seconds(message: Any) -> float:
    """How far a report goes back, for the cluster for which it goes back the furthest."""
    intervals = (each.load_report_interval for each in message.cluster_stats)
    return max((each.seconds + each.nanos / 1e9 for each in intervals), default=0.0)


def _names(message: Any) -> frozenset[str]:
    """The clusters that a report is of, those without requests included."""
    return frozenset(each.cluster_name for each in message.cluster_stats)


def _rows(message: Any) -> Iterator[tuple[Place, Load]]:
    for cluster in message.cluster_stats:
        name = cluster.cluster_name
        if cluster.total_dropped_requests:
            yield Place(name), Load(dropped=cluster.total_dropped_requests)
        for each in cluster.upstream_locality_stats:
            where = each.locality
            yield (
                Place(name, where.region, where.zone, where.sub_zone, each.priority),
                Load(
                    succeeded=each.total_successful_requests,
                    failed=each.total_error_requests,
                    issued=each.total_issued_requests,
                    in_progress=each.total_requests_in_progress,
                ),
            )
