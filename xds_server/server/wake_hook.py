"""The wake hook: tells somebody, over HTTP, that requests wait for a revision without a backend."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from functools import lru_cache

import httpx

from xds_server.graph import WakeHook


class WakeError(Exception):
    """Nobody has been told, and why."""


async def tell(hook: WakeHook, body: Mapping[str, str], roots: str) -> None:
    """POST ``body`` as JSON; ``roots`` are the public CAs, in PEM. Raises ``WakeError`` unless the answer is 2xx."""
    headers = {} if hook.token is None else {"authorization": f"Bearer {hook.token}"}
    trust = _trust(hook.ca or roots) if hook.url.startswith("https:") else True
    try:
        async with httpx.AsyncClient(verify=trust, timeout=hook.timeout, trust_env=False) as client:
            answer = await client.post(hook.url, json=dict(body), headers=headers)
    except (httpx.HTTPError, ssl.SSLError) as error:
        raise WakeError(f"{hook.url}: {str(error) or type(error).__name__}") from error
    if not answer.is_success:
        raise WakeError(f"{hook.url}: {answer.status_code} {answer.reason_phrase}".rstrip())


@lru_cache(maxsize=64)
def _trust(authorities: str) -> ssl.SSLContext:
    return ssl.create_default_context(cadata=authorities)
