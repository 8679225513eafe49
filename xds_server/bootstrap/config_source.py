"""Where Envoy fetches what a resource refers to: the ConfigSource. That of what requests wait for is a kind of its own,
in `compiler/source.py`; all others are written here.

Each leaves `initial_fetch_timeout` at Envoy's 15 s, on purpose. The control plane answers every name, missing ones
too, so the time only matters when it is away or slow: then an Envoy that has started must go on with what it has. 0
(wait for ever) would let one missing secret hold back every later cluster, and one missing filter keep a listener
closed; less would give up on a control plane that is only restarting.
https://www.envoyproxy.io/docs/envoy/latest/api-v3/config/core/v3/config_source.proto
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message

from xds_server.wire import descriptor_pool, message_class

if TYPE_CHECKING:
    from xds_server.snapshot import Transport

CONTROL_PLANE = "fairlead-control-plane"
"""The cluster of the control plane, which every bootstrap has."""

# Envoy would wait up to 30 s: longer than a restart of the control plane should be felt.
_RECONNECT = {"base_interval": {"nanos": 250_000_000}, "max_interval": {"seconds": 5}}


@cache
def source(transport: Transport) -> Message:
    """The ConfigSource for a client: `ads`, or each type from its own service in that variant. Not to be changed."""
    where: dict[str, Any] = (
        {"ads": {}} if transport == "ads" else {"api_config_source": describe_api(transport)}
    )
    return message_class("envoy.config.core.v3.ConfigSource")(resource_api_version="V3", **where)


def describe_api(variant: Transport) -> dict[str, Any]:
    """The fields of an ApiConfigSource that leads to the control plane, in that variant."""
    service = {"cluster_name": CONTROL_PLANE, "retry_policy": {"retry_back_off": _RECONNECT}}
    return {
        "api_type": "GRPC" if variant == "sotw" else "DELTA_GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": service}],
        "set_node_on_first_message_only": True,
    }


def plain_source(transport: Transport) -> dict[str, Any]:
    """`source` as JSON."""
    return _plain(source(transport))


def plain_api(variant: Transport) -> dict[str, Any]:
    """The ApiConfigSource of a variant as JSON, as a bootstrap's `ads_config` has it."""
    return _plain(message_class("envoy.config.core.v3.ApiConfigSource")(**describe_api(variant)))


def _plain(message: Message) -> dict[str, Any]:
    plain: dict[str, Any] = MessageToDict(
        message, preserving_proto_field_name=True, descriptor_pool=descriptor_pool()
    )
    return plain
