"""A client that speaks xDS message by message, over a connection of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import grpc
import grpc.aio

from xds_server.wire import message_class

DISCOVERY = "envoy.service.discovery.v3."
PATIENCE = 20.0
AGGREGATED = "envoy.service.discovery.v3.AggregatedDiscoveryService/{}AggregatedResources"


class RawClient:
    """`variant` is `delta` or `sotw`. `say` sends a request, `hear` returns the next response."""

    def __init__(
        self,
        port: int,
        variant: str = "delta",
        *,
        node: str = "node-1",
        gateway: str = "edge",
        region: str = "eu",
        method: str = AGGREGATED,
        channel: grpc.aio.Channel | None = None,
        metadata: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.variant = variant
        self.node = (node, gateway, region)
        self.channel = channel or grpc.aio.insecure_channel(
            f"127.0.0.1:{port}",
            options=[("grpc.max_receive_message_length", -1), ("grpc.use_local_subchannel_pool", 1)],
        )
        self.path = "/" + method.format("Delta" if variant == "delta" else "Stream")
        self.call: Any = self.channel.stream_stream(self.path)(metadata=metadata)
        self.met = False
        self.nonces: dict[str, str] = {}
        self.versions: dict[str, str] = {}

    async def send(self, message: Any) -> None:
        if not self.met:
            message.node.id, message.node.cluster, message.node.locality.region = self.node
            self.met = True
        await self.call.write(message.SerializeToString())

    def request(self, type_url: str, *, nonce: str = "", error: str | None = None) -> Any:
        message: Any = message_class(
            DISCOVERY + ("DeltaDiscoveryRequest" if self.variant == "delta" else "DiscoveryRequest")
        )()
        message.type_url, message.response_nonce = type_url, nonce
        if error is not None:
            message.error_detail.code, message.error_detail.message = 13, error
        return message

    async def say(
        self,
        type_url: str,
        *names: str,
        unsubscribe: tuple[str, ...] = (),
        held: dict[str, str] | None = None,
        version: str = "",
        **options: Any,
    ) -> None:
        message = self.request(type_url, **options)
        if self.variant == "delta":
            message.resource_names_subscribe.extend(names)
            message.resource_names_unsubscribe.extend(unsubscribe)
            message.initial_resource_versions.update(held or {})
        else:
            message.resource_names.extend(names)
            message.version_info = version
        await self.send(message)

    async def hear(self) -> Any:
        data = await asyncio.wait_for(self.call.read(), PATIENCE)
        assert data is not grpc.aio.EOF, "the stream was closed"
        kind = "DeltaDiscoveryResponse" if self.variant == "delta" else "DiscoveryResponse"
        message: Any = message_class(DISCOVERY + kind)()
        message.ParseFromString(data)
        self.nonces[message.type_url] = message.nonce
        if self.variant == "sotw":
            self.versions[message.type_url] = message.version_info
        return message

    async def ack(self, type_url: str, *names: str) -> None:
        """Acknowledge the last response; in state of the world repeat all names."""
        if self.variant == "delta":
            await self.say(type_url, nonce=self.nonces[type_url])
        else:
            await self.say(type_url, *names, nonce=self.nonces[type_url], version=self.versions[type_url])

    async def nack(self, type_url: str, error: str, *names: str) -> None:
        await self.say(
            type_url, *(() if self.variant == "delta" else names), nonce=self.nonces[type_url], error=error
        )

    async def status(self) -> grpc.StatusCode:
        """Wait until the server has closed the stream, and say how."""
        code: grpc.StatusCode = await asyncio.wait_for(self.call.code(), PATIENCE)
        return code

    async def close(self) -> None:
        self.call.cancel()
        await self.channel.close()


def names(response: Any) -> list[str]:
    """Names in a delta response, bodies in one of the state of the world."""
    if hasattr(response, "removed_resources"):
        return [resource.name for resource in response.resources]
    return [resource.value.decode() for resource in response.resources]
