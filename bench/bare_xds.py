"""The floor of an xDS server in Python: bare grpc.aio that sends fixed bytes, without view, order or record.

Every first request of a type is answered with one resource of the size of a model's endpoints; a line on standard input
sends one more to each stream.

Run: python -m bench.bare_xds PORT
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio

from bench.xds_clients import METHOD, Request, Response
from xds_server.protocol import types as t

SIZE = 400
"""Bytes of the resource's body."""

_streams: set[Any] = set()


def response(type_url: str, turn: int) -> bytes:
    """A response with one resource."""
    made = Response(type_url=type_url, nonce=str(turn))
    resource = made.resources.add()
    resource.name, resource.version = "one", str(turn)
    resource.resource.type_url, resource.resource.value = type_url, b"x" * SIZE
    return bytes(made.SerializeToString())


async def serve(requests: AsyncIterator[bytes], context: Any) -> None:
    """One stream."""
    _streams.add(context)
    try:
        async for message in requests:
            request = Request.FromString(message)
            if not request.response_nonce:
                await context.write(response(request.type_url, 0))
    finally:
        _streams.discard(context)


async def main() -> None:
    service, _, method = METHOD[1:].partition("/")
    handler = grpc.method_handlers_generic_handler(
        service, {method: grpc.stream_stream_rpc_method_handler(serve)}
    )
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    await server.start()
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print("ready", flush=True)
    turn = 0
    while await reader.readline():
        turn += 1
        message = response(t.ENDPOINT, turn)
        await asyncio.gather(*(each.write(message) for each in list(_streams)))
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(main())
