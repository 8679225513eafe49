"""The wake hook: tells somebody, over HTTP, that requests wait for a revision without a backend."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

import httpx

from xds_server.graph import WakeHook

MARK: Final = "x-fairlead-wake"
"""A header of each call. Whoever writes policies chooses where it goes: what takes orders from this machine knows by it
that this is none."""
_MOST_WORDS: Final = 200


class WakeError(Exception):
    """Nobody has been told, and why."""


async def tell(hook: WakeHook, body: Mapping[str, str], roots: str) -> None:
    """POST ``body`` as JSON; ``roots`` are the public CAs, in PEM. Raises ``WakeError`` unless the answer is 2xx.

    Of the answer only the head is read, within the hook's time, however it trickles.
    """
    headers = {MARK: "1"} if hook.token is None else {MARK: "1", "authorization": f"Bearer {hook.token}"}
    try:
        # Without TLS nobody is to be trusted; to make a context for nothing would hold up everything else.
        trust = False if httpx.URL(hook.url).scheme == "http" else _trust(hook.ca or roots)
        async with (
            asyncio.timeout(hook.timeout),
            httpx.AsyncClient(verify=trust, timeout=hook.timeout, trust_env=False) as client,
            client.stream("POST", hook.url, json=dict(body), headers=headers) as answer,
        ):
            pass
    except TimeoutError as error:
        raise WakeError(f"{hook.url}: no answer within {hook.timeout:g}s") from error
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        raise WakeError(f"{hook.url}: {str(error) or type(error).__name__}") from error
    if not answer.is_success:
        raise WakeError(f"{hook.url}: {answer.status_code} {answer.reason_phrase[:_MOST_WORDS]}".rstrip())


@lru_cache(maxsize=64)
def _trust(authorities: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authorities)
