"""sovereign, the Python peer, as a control plane of one Envoy: a source, a template, and a bootstrap that polls it.

It is set up to be as fast as its configuration lets it: one worker that holds everything, a template in Python, which
spares it YAML, a source in JSON that is read once a second (the least that can be said), no matching of nodes, and an
Envoy that asks every 100 ms.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from bench import bare
from bench.bare import Json
from bench.peer import Peer
from bench.process import Processes, free_port

TEMPLATE = '''"""One list of routes, of all that is in the source."""


def call(instances, **_):
    routes = [
        {
            "match": {"path_separated_prefix": f"/acme/models/{each['name']}"},
            "route": {"cluster": "upstream"},
        }
        for each in instances
    ]
    host = {"name": "all", "domains": ["*"], "routes": routes}
    yield {"name": "table", "virtual_hosts": [host]}
'''


def write_source(path: Path, names: list[str]) -> None:
    """Write the models that are to have a route."""
    draft = path.with_suffix(".tmp")
    draft.write_text(json.dumps([{"name": each} for each in names]))
    os.replace(draft, path)


def start(processes: Processes, peer: Peer, source: Path, cluster: Json) -> int:
    """Start sovereign and an Envoy of its; returns the port of Envoy's listener."""
    work, port = processes.work, free_port()
    template = work / "routes.py"
    template.write_text(TEMPLATE)
    spec = {"protocol": "file", "serialization": "json", "path": str(source)}
    config = {
        "sources": [{"type": "file", "config": {"spec": spec}}],
        "source_config": {"refresh_rate": 1},
        "matching": {"enabled": False},
        "logging": {"access_logs": {"enabled": False}},
        "templates": {
            "default": [
                {
                    "type": "routes",
                    "spec": {"protocol": "python", "serialization": "raw", "path": str(template)},
                }
            ]
        },
    }
    path = work / "sovereign.yaml"
    path.write_text(json.dumps(config))
    environment = {
        "SOVEREIGN_CONFIG": f"file://{path}",
        "SOVEREIGN_HOST": "127.0.0.1",
        "SOVEREIGN_PORT": str(port),
        "SOVEREIGN_WORKERS": "1",
    }
    processes.start("sovereign", [peer.command("sovereign")], environment=environment)
    processes.wait_open(port)
    source_of_routes = {
        "api_config_source": {
            "api_type": "REST",
            "transport_api_version": "V3",
            "cluster_names": ["sovereign"],
            "refresh_delay": "0.1s",
            "request_timeout": "30s",
        },
        "resource_api_version": "V3",
    }
    routing = {"rds": {"route_config_name": "table", "config_source": source_of_routes}}
    clusters = [cluster, bare.cluster_to(port, "sovereign")]
    listener, _ = bare.start(processes, "envoy-of-sovereign", routing, clusters)
    return listener
