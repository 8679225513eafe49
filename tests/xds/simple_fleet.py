"""The smallest resources with which a real Envoy serves HTTP: a listener, a route, clusters and their endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from google.protobuf.json_format import ParseDict

from xds_server.snapshot import Resource
from xds_server.wire import descriptor_pool, message_class, type_url

_HERE = {"ads": {}, "resource_api_version": "V3"}
_HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def resource(name: str, kind: str, fields: dict[str, Any], needs: tuple[str, ...] = ()) -> Resource:
    message = ParseDict(fields, message_class(kind)(), descriptor_pool=descriptor_pool())
    body = message.SerializeToString(deterministic=True)
    return Resource.of(type_url(kind), name, body, origin=f"{name}.yaml:1", needs=needs)


def cluster(name: str, connect_timeout: str = "1s") -> Resource:
    fields = {
        "name": name,
        "type": "EDS",
        "connect_timeout": connect_timeout,
        "eds_cluster_config": {"eds_config": _HERE},
    }
    return resource(name, "envoy.config.cluster.v3.Cluster", fields)


def endpoints(name: str, port: int) -> Resource:
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    fields = {
        "cluster_name": name,
        "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
    }
    return resource(name, "envoy.config.endpoint.v3.ClusterLoadAssignment", fields)


def route(name: str, cluster_name: str) -> Resource:
    host = {
        "name": "all",
        "domains": ["*"],
        "routes": [{"match": {"prefix": "/"}, "route": {"cluster": cluster_name}}],
    }
    fields = {"name": name, "virtual_hosts": [host]}
    return resource(name, "envoy.config.route.v3.RouteConfiguration", fields, (cluster_name,))


def listener(name: str, port: int, route_name: str, address: str = "127.0.0.1") -> Resource:
    manager = {
        "@type": _HCM,
        "stat_prefix": name,
        "rds": {"route_config_name": route_name, "config_source": _HERE},
        "http_filters": [{"name": "router", "typed_config": {"@type": _ROUTER}}],
    }
    fields = {
        "name": name,
        "address": {"socket_address": {"address": address, "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    return resource(name, "envoy.config.listener.v3.Listener", fields)


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        body: bytes = self.server.body  # type: ignore[attr-defined]
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _Threads(ThreadingHTTPServer):
    daemon_threads = True


@contextmanager
def upstream(words: str) -> Iterator[int]:
    """Serve the same words at each path; yields the port."""
    server = _Threads(("127.0.0.1", 0), _Answer)
    server.body = words.encode()  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
