"""Envoys without a control plane: the model server that costs next to nothing, and the baselines of a bare Envoy."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from bench.process import Process, Processes, free_port
from bench.program import envoy

Json = dict[str, Any]

COMPLETION = json.dumps(
    {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "bench",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "ok"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }
)
"""What the model server answers: the smallest whole answer of the chat API."""

SEEN = "x-seen-revision"
"""A header of the model server's answers: the revision that Fairlead told it of."""

_FILTER = "type.googleapis.com/envoy.extensions.filters.http."
_ROUTER = {"name": "router", "typed_config": {"@type": f"{_FILTER}router.v3.Router"}}
_BUFFER = {
    "name": "buffer",
    "typed_config": {"@type": f"{_FILTER}buffer.v3.Buffer", "max_request_bytes": 1 << 20},
}


def start_upstream(processes: Processes) -> int:
    """Start a model server, an Envoy that answers every request at once with `COMPLETION`; returns its port."""
    route = {
        "match": {"prefix": "/"},
        "direct_response": {"status": 200, "body": {"inline_string": COMPLETION}},
    }
    headers = [
        {"header": {"key": "content-type", "value": "application/json"}, "append_action": 2},
        {"header": {"key": SEEN, "value": "%REQ(x-fairlead-revision)%"}},
    ]
    table = {"virtual_hosts": [host([route])], "response_headers_to_add": headers}
    # Without it an answer that overtakes the request's body makes Envoy close the connection.
    port, _ = start(processes, "upstream", {"route_config": table, "http_filters": [_BUFFER, _ROUTER]}, [])
    return port


def host(routes: list[Json]) -> Json:
    """The one virtual host of a table."""
    return {"name": "all", "domains": ["*"], "routes": routes}


def route_to(name: str) -> Json:
    """A route as Fairlead's run endpoint has it in its path, to the cluster `upstream`."""
    return {
        "match": {"path_separated_prefix": f"/acme/models/{name}"},
        "route": {"cluster": "upstream"},
    }


def table_of(names: list[str]) -> Json:
    """A route table with a route for each name, in order: one list, as most control planes make it."""
    return {"name": "table", "virtual_hosts": [host([route_to(each) for each in names])]}


def cluster_to(upstream: int, name: str = "upstream") -> Json:
    """A static cluster of one endpoint on loopback."""
    return cluster_of(name, [("127.0.0.1", upstream)])


def cluster_of(name: str, addresses: list[tuple[str, int]]) -> Json:
    """A static cluster of endpoints."""
    endpoints = [
        {"endpoint": {"address": {"socket_address": {"address": address, "port_value": port}}}}
        for address, port in addresses
    ]
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": assignment}


def start(
    processes: Processes,
    name: str,
    routing: Json,
    clusters: list[Json],
    *,
    more: Json | None = None,
    wait: bool = True,
) -> tuple[int, Process]:
    """Start an Envoy with one listener; returns its port and process.

    `routing` is the connection manager's `route_config` or `rds`, `more` is put into the bootstrap.
    """
    port = free_port()
    manager = {
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3"
        ".HttpConnectionManager",
        "stat_prefix": "bench",
        "http_filters": [_ROUTER],
        **routing,
    }
    listener = {
        "name": "run",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    bootstrap = {
        "node": {"id": name, "cluster": "bench"},
        "static_resources": {"listeners": [listener], "clusters": clusters},
        **(more or {}),
    }
    config = processes.work / f"{name}.json"
    config.write_text(json.dumps(bootstrap))
    process = processes.start(name, envoy(config))
    if wait:
        processes.wait_open(port)
    return port, process


def write_table(path: Path, names: list[str], version: int) -> None:
    """Write a route table for Envoy's own file source, renamed into place as it asks for."""
    kind = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
    document = {"version_info": str(version), "resources": [{"@type": kind, **table_of(names)}]}
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps(document))
    os.replace(draft, path)


def from_file(path: Path) -> Json:
    """Routing of a table that Envoy reads from a file and watches."""
    source = {
        "path_config_source": {"path": str(path), "watched_directory": {"path": str(path.parent)}},
        "resource_api_version": "V3",
    }
    return {"rds": {"route_config_name": "table", "config_source": source}}
