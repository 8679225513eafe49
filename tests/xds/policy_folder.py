"""A small policy folder that the real pipeline reads, follows and compiles."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from tests.golden.folder import JWKS
from tests.xds.exchange import E, until
from tests.xds.raw_client import RawClient
from xds_server.server import ControlPlane, Pipeline
from xds_server.sources import FolderSource
from xds_server.wire import message_class

FLEET = f"""
apiVersion: fairlead/v1
kind: Gateway
metadata: {{name: edge}}
spec:
  listeners:
    - {{name: run, address: 127.0.0.1, port: 10000}}
---
apiVersion: fairlead/v1
kind: Issuer
metadata: {{name: ours}}
spec:
  issuer: https://issuer.example
  audiences: [fairlead]
  jwks: {{inline: {json.dumps(json.loads(JWKS))}}}
---
apiVersion: fairlead/v1
kind: Workspace
metadata: {{name: acme}}
spec: {{issuers: [ours]}}
"""


def model(name: str, port: int) -> str:
    return f"""
apiVersion: fairlead/v1
kind: Model
metadata: {{name: {name}, workspace: acme}}
spec:
  deployments:
    - environment: production
      revisions:
        - name: v1
          backends: [{{location: eu-west-3, address: "10.0.0.1:{port}"}}]
"""


CLUSTER = "acme/models/llama/production/v1"


@asynccontextmanager
async def following(folder: Path, plane: ControlPlane) -> AsyncIterator[None]:
    """The control plane serves a folder, and follows it."""
    running = asyncio.create_task(Pipeline(FolderSource(folder)).run(plane))
    try:
        await until(lambda: plane.readiness.ready)
        yield
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def wait_for(client: RawClient, port: int) -> int:
    """Acknowledge endpoints until they have this port; return how many responses it took."""
    count = 0
    while True:
        response = await client.hear()
        count += 1
        await client.ack(E, CLUSTER)
        if port_of(response) == port:
            return count


def port_of(response: Any) -> int:
    (any_,) = (getattr(each, "resource", each) for each in response.resources)
    found: Any = message_class("envoy.config.endpoint.v3.ClusterLoadAssignment")()
    found.ParseFromString(any_.value)
    port: int = found.endpoints[0].lb_endpoints[0].endpoint.address.socket_address.port_value
    return port
