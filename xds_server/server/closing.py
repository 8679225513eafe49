"""Streams that go on until the client, or the server, ends them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator


class Closing:
    """`close` ends what is read with `read`, as if the client had said all."""

    def __init__(self) -> None:
        self._closed = asyncio.Event()

    def close(self) -> None:
        """End all streams, and those that may still come."""
        self._closed.set()

    async def read(self, requests: AsyncIterator[bytes], idle: float | None = None) -> AsyncIterator[bytes]:
        """Yield requests until there are no more, none for ``idle`` seconds, or `close`."""
        closed = asyncio.create_task(self._closed.wait())
        try:
            while True:
                reading = asyncio.ensure_future(anext(requests, None))
                try:
                    await asyncio.wait({reading, closed}, timeout=idle, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    if not reading.done():
                        reading.cancel()
                if not reading.done() or (request := await reading) is None:
                    return
                yield request
        finally:
            closed.cancel()
