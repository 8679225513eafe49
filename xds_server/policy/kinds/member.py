"""Members of a gateway: which clients are taken for its nodes, and what they may be told beyond routes."""

from __future__ import annotations

import json
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from xds_server.policy.kinds.base import Part, part
from xds_server.policy.kinds.names import NODE_ID, RUNTIME_KEY, Name, Shown, Word

_EXACT = 2**53  # Envoy reads numbers of a runtime as doubles

NodeId = Annotated[str, StringConstraints(pattern=NODE_ID, max_length=1024), Shown("node id, or `prefix*`")]
RuntimeKey = Annotated[str, StringConstraints(pattern=RUNTIME_KEY, max_length=253)]


def _runtime_value(value: Any) -> str:
    number = isinstance(value, int | float) and abs(value) <= _EXACT
    if isinstance(value, str) or number:
        return json.dumps(value)
    hint = "numbers are at most 2^53 either way"
    told = {"message": "must be `true`, `false`, a number or a text", "hint": hint}
    raise PydanticCustomError("bad-value", "{message}", told)


# Kept as JSON text: to Python 1, 1.0 and `true` are equal, and a change from one to the other would be none.
RuntimeValue = Annotated[
    str,
    BeforeValidator(_runtime_value),
    PlainSerializer(json.loads),
    WithJsonSchema({"type": ["boolean", "number", "string"]}),
]
Runtime = Annotated[
    dict[RuntimeKey, RuntimeValue], Shown("mapping of key to `true`, `false`, number or text")
]


@part
class Nodes(Part):
    """Which nodes belong to the gateway. All that is given must hold, of each list one entry."""

    clusters: tuple[Word, ...] = Field(
        default=(),
        min_length=1,
        description="What `node.cluster` may be.",
        examples=[["edge", "edge-canary"]],
    )
    ids: tuple[NodeId, ...] = Field(
        default=(),
        min_length=1,
        description="What `node.id` may be, exact or the beginning with a `*` behind it.",
        examples=[["edge-paris-*"]],
    )
    metadata: dict[Word, str] = Field(
        default_factory=dict,
        min_length=1,
        description="Texts that `node.metadata` must hold.",
        examples=[{"stage": "canary"}],
    )


@part
class Proxyless(Part):
    """Clients that call models without an Envoy, through gRPC's own xDS client (`xds:///acme/models/llama`)."""

    workspaces: tuple[Name, ...] = Field(
        min_length=1,
        description="The workspaces whose models, agents and functions these clients may call, but for those "
        "with claims in their `access`. No token is checked on the way: whoever may be a node of this gateway "
        "may call them.",
        examples=[["acme"]],
    )
