"""Downloads: one document over HTTP, asked for with what is known of it already.

Conditional requests: https://www.rfc-editor.org/rfc/rfc9110#name-if-none-match.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Final

import httpx

from xds_server.policy import LARGEST_PUBLICATION

_PATIENCE_SECONDS: Final = 10.0
"""For the whole of an answer, however it trickles."""
_CONNECT_SECONDS: Final = 5.0
_ETAG: Final = re.compile(r'(W/)?"[!#-~]{0,255}"')
_MOST_WORDS: Final = 200


class DownloadError(Exception):
    """There is no document to go by, and why."""


@dataclass(frozen=True, slots=True)
class Download:
    """A document, and the tag by which its server knows it, if there is one."""

    content: bytes
    etag: str | None


def open_client(ca: str) -> httpx.AsyncClient:
    """A client that trusts these CAs (PEM), takes no proxy from the environment, follows and keeps nothing."""
    context = ssl.create_default_context(cadata=ca)
    timeout = httpx.Timeout(_PATIENCE_SECONDS, connect=_CONNECT_SECONDS)
    # A publisher may set one under another name with each answer: what is shown to it would grow until it refuses.
    cookies = CookieJar(DefaultCookiePolicy(allowed_domains=()))
    return httpx.AsyncClient(
        timeout=timeout, trust_env=False, verify=context, follow_redirects=False, cookies=cookies
    )


async def download(
    client: httpx.AsyncClient, url: str, *, token: str | None = None, etag: str | None = None
) -> Download | None:
    """Fetch a document of `LARGEST_PUBLICATION` bytes at most; None if it still is the one with that tag.

    Raises `DownloadError` for everything else.
    """
    # What is unpacked here could be a thousand times as large as what came: nothing is asked for packed.
    headers = {"accept": "application/yaml, */*;q=0.5", "accept-encoding": "identity"}
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    if etag is not None:
        headers["if-none-match"] = etag
    try:
        async with (
            asyncio.timeout(_PATIENCE_SECONDS),
            client.stream("GET", url, headers=headers) as answer,
        ):
            if answer.status_code == httpx.codes.NOT_MODIFIED and etag is not None:
                return None
            _check(answer)
            return Download(await _read(answer), _tag(answer))
    except TimeoutError as error:
        raise DownloadError(f"no whole answer within {_PATIENCE_SECONDS:g}s") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadError(str(error) or type(error).__name__) from error


def _check(answer: httpx.Response) -> None:
    if answer.is_redirect:
        # What follows the path may be a signature, which is a secret, or another one each time, which is no news.
        to = re.split("[?#]", answer.headers.get("location", "nowhere"), maxsplit=1)[0][:_MOST_WORDS]
        raise DownloadError(
            f"it answers {answer.status_code} and points to {to}; redirects are not followed, so name that URL"
        )
    if answer.status_code != httpx.codes.OK:
        raise DownloadError(f"it answers {answer.status_code} {answer.reason_phrase[:_MOST_WORDS]}".rstrip())
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise DownloadError("it answers with a packed document, and was asked for a plain one")
    if "content-length" not in answer.headers and "transfer-encoding" not in answer.headers:
        raise DownloadError(
            "it does not say how long its document is, so a part could be taken for all of it"
        )


async def _read(answer: httpx.Response) -> bytes:
    content = bytearray()
    async for chunk in answer.aiter_raw():
        content += chunk
        if len(content) > LARGEST_PUBLICATION:
            raise DownloadError(f"its document is larger than {LARGEST_PUBLICATION // 2**20} MiB")
    return bytes(content)


def _tag(answer: httpx.Response) -> str | None:
    found = answer.headers.get("etag", "")
    return found if _ETAG.fullmatch(found) else None
