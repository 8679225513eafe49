"""Runtime values of a gateway's Envoys, over RTDS."""

from __future__ import annotations

import json

from xds_server.bootstrap import RUNTIME_LAYER
from xds_server.graph import Edge
from xds_server.snapshot import Resource
from xds_server.wire import message_class

from .encode import encode, flat_struct
from .names import RUNTIME


def compile_runtime(edge: Edge) -> Resource:
    """The gateway's Runtime. It is there without a value too: an Envoy asks for it first, and boots when it has it."""
    values = {key: json.loads(value) for key, value in edge.gateway.spec.runtime.items()}
    message = message_class(RUNTIME)(name=RUNTIME_LAYER, layer=flat_struct(values))
    return encode(message, RUNTIME_LAYER, str(edge.gateway.origin))
