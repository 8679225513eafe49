"""The wake hook's call: what is sent, whom it trusts, and what counts as told."""

from __future__ import annotations

import asyncio

import pytest

from tests.e2e.certificates import Certificates
from tests.e2e.hook import Hook
from tests.envoy_process import free_port
from xds_server.graph import WakeHook
from xds_server.server.wake_hook import MARK, WakeError, tell

BODY = {"path": "acme/models/llama", "revision": "v1"}


def hook(url: str, timeout: float = 20.0, **more: str) -> WakeHook:
    return WakeHook(url=url, every=30.0, timeout=timeout, **more)


@pytest.fixture(scope="module")
def certificates() -> Certificates:
    return Certificates.make()


async def test_what_is_sent() -> None:
    with Hook() as server:
        await tell(hook(server.url), BODY, "")
    assert server.told == [BODY]
    assert server.tokens == [None]


@pytest.mark.parametrize("status", [301, 400, 401, 404, 500, 503])
async def test_anything_but_success_is_a_failure(status: int) -> None:
    with Hook() as server:
        server.status = status
        with pytest.raises(WakeError, match=f"{server.url}: {status}"):
            await tell(hook(server.url), BODY, "")
    assert server.refused == 1


async def test_nobody_there_is_a_failure() -> None:
    with pytest.raises(WakeError, match=r"127\.0\.0\.1"):
        await tell(hook(f"http://127.0.0.1:{free_port()}/wake"), BODY, "")


async def _trickle(head: bytes, drop: bytes) -> tuple[asyncio.Server, list[bytes]]:
    """Answers with a head, and drops of the rest for ever."""
    heads: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(head)
        try:
            while True:
                writer.write(drop)
                await writer.drain()
                await asyncio.sleep(0.01)
        except ConnectionError:
            writer.close()

    return await asyncio.start_server(answer, "127.0.0.1", 0), heads


async def test_an_answer_without_end_is_not_read() -> None:
    server, heads = await _trickle(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", b"1\r\nx\r\n")
    async with server, asyncio.timeout(15):
        await tell(hook(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/wake"), BODY, "")
    assert f"{MARK}: 1".encode() in heads[0].lower()


async def test_an_answer_that_trickles_is_none_in_time() -> None:
    server, _ = await _trickle(b"HTTP/1.1 200 OK\r\n", b"x-more: 1\r\n")
    async with server, asyncio.timeout(10):
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/wake"
        with pytest.raises(WakeError, match="no answer within 2s"):
            await tell(hook(url, timeout=2.0), BODY, "")


async def test_a_token_goes_to_who_has_a_trusted_certificate_only(certificates: Certificates) -> None:
    with Hook(certificates.server("localhost")) as server:
        url = server.url.replace("127.0.0.1", "localhost")
        await tell(hook(url, ca=certificates.authority, token="open sesame"), BODY, "")
        assert server.tokens == ["Bearer open sesame"]
        other = Certificates.make()
        with pytest.raises(WakeError, match="CERTIFICATE_VERIFY_FAILED"):
            await tell(hook(url, ca=other.authority, token="open sesame"), BODY, "")
        with pytest.raises(WakeError, match="CERTIFICATE_VERIFY_FAILED"):
            # Another name than the certificate's.
            await tell(hook(server.url, ca=certificates.authority, token="open sesame"), BODY, "")
        # Without a CA of its own, the public ones.
        await tell(hook(url), BODY, certificates.authority)
    assert server.tokens == ["Bearer open sesame", None]
