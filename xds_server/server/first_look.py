"""First looks: what a stream's first responses need is encoded beside the event loop."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from xds_server.collection import uncollected
from xds_server.protocol import Stream

MANY: Final = 1000
"""Names from which on their bytes are made in a thread: the event loop would be held up for 20 ms by 1,000 of them."""


async def encode(stream: Stream[Any]) -> None:
    """Have encoded what a stream is to be sent of types that it asks for the first time.

    That is all of a type, or very many names of it. Of 100,000 models it takes seconds, while others are served.
    """
    view = stream.view
    for type_url, names in list(stream.first_looks()) if view is not None else ():
        if view is None or type_url in view.encoded or (names is not None and len(names) < MANY):
            continue
        with uncollected():
            await asyncio.to_thread(view.encode, type_url, None if names is None else tuple(names))
