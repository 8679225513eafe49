"""Where Envoy fetches what requests wait for; the ConfigSource of all else, as a message of envoy-data-plane."""

from __future__ import annotations

from functools import cache

from envoy_data_plane.envoy.config.core.v3 import ConfigSource
from google.protobuf.message import Message

from xds_server.bootstrap import describe_api, source
from xds_server.snapshot import WAITS, Transport
from xds_server.wire import message_class

_AT_ONCE = {"nanos": 50_000_000}


@cache
def waits_source() -> Message:
    """The ConfigSource of clusters that requests wait for: a stream of its own, whose header says so.

    Over ADS, Envoy 1.40 gives a cluster up that has not come within 15 s, whatever the route says. Until this time,
    what requests for further clusters wait for is not asked for; there is never an answer.
    https://www.envoyproxy.io/docs/envoy/latest/api-v3/extensions/filters/http/on_demand/v3/on_demand.proto
    """
    header, value = WAITS
    api = describe_api("delta")
    [service] = api["grpc_services"]
    service["initial_metadata"] = [{"key": header, "value": value}]
    return message_class("envoy.config.core.v3.ConfigSource")(
        resource_api_version="V3", api_config_source=api, initial_fetch_timeout=_AT_ONCE
    )


@cache
def typed_source(transport: Transport) -> ConfigSource:
    """The ConfigSource for a client, as a message of envoy-data-plane."""
    return ConfigSource.parse(source(transport).SerializeToString(deterministic=True))
