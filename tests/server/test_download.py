"""One download: what is taken for a document, and what is not."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Iterator

import certifi
import httpx
import pytest

from tests.e2e.certificates import Certificates
from tests.server.publishing import Publishing, policy
from xds_server.policy import LARGEST_PUBLICATION
from xds_server.server import download as downloads
from xds_server.server.download import Download, DownloadError, download, open_client

EUROPE = policy("europe", ("continent", "eu"))


@pytest.fixture
def publisher() -> Iterator[Publishing]:
    with Publishing(EUROPE) as made:
        yield made


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with open_client(certifi.contents()) as made:
        yield made


async def test_a_document_and_its_tag(publisher: Publishing, client: httpx.AsyncClient) -> None:
    assert await download(client, publisher.url) == Download(EUROPE.encode(), None)
    publisher.etag = '"v1"'
    assert await download(client, publisher.url) == Download(EUROPE.encode(), '"v1"')
    assert await download(client, publisher.url, etag='"v1"') is None
    assert publisher.asked[-1]["if-none-match"] == '"v1"'
    assert publisher.answered == [200, 200, 304]
    publisher.etag = '"v2"'
    assert await download(client, publisher.url, etag='"v1"') == Download(EUROPE.encode(), '"v2"')


async def test_a_token_is_shown_and_nothing_is_asked_for_packed(
    publisher: Publishing, client: httpx.AsyncClient
) -> None:
    await download(client, publisher.url, token="tk-1")
    assert publisher.asked[0]["authorization"] == "Bearer tk-1"
    assert publisher.asked[0]["accept-encoding"] == "identity"
    await download(client, publisher.url)
    assert "authorization" not in publisher.asked[1]


@pytest.mark.parametrize("etag", ['"' + "x" * 300 + '"', "v1", '"ä"', '"a"b"'])
async def test_a_tag_that_is_none_is_not_shown_again(
    publisher: Publishing, client: httpx.AsyncClient, etag: str
) -> None:
    publisher.etag = etag
    found = await download(client, publisher.url)
    assert found is not None
    assert found.etag is None


@pytest.mark.parametrize("status", [204, 304, 400, 401, 404, 429, 500, 503])
async def test_another_answer_is_no_document(
    publisher: Publishing, client: httpx.AsyncClient, status: int
) -> None:
    publisher.status = status
    with pytest.raises(DownloadError, match=f"answers {status}|points to"):
        await download(client, publisher.url)


@pytest.mark.parametrize(
    "to", ["/elsewhere", "https://127.0.0.1:1/policies.yaml", "file:///etc/passwd", "ftp://example.com/a"]
)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_no_redirect_is_followed(
    publisher: Publishing, client: httpx.AsyncClient, status: int, to: str
) -> None:
    publisher.status, publisher.headers = status, {"location": to}
    with pytest.raises(DownloadError, match=f"{status} and points to {to}; redirects are not followed"):
        await download(client, publisher.url, token="tk-1")
    assert len(publisher.asked) == 1


async def test_what_a_redirect_is_signed_with_is_not_told(
    publisher: Publishing, client: httpx.AsyncClient
) -> None:
    publisher.status = 302
    publisher.headers = {"location": "https://storage.example.com/policies.yaml?signature=s3cret#part"}
    with pytest.raises(
        DownloadError, match=r"points to https://storage\.example\.com/policies\.yaml; redirects"
    ):
        await download(client, publisher.url)


async def test_no_cookie_is_kept(publisher: Publishing, client: httpx.AsyncClient) -> None:
    publisher.headers = {"set-cookie": "session=1; Path=/"}
    for _ in range(2):
        await download(client, publisher.url)
    assert all("cookie" not in each for each in publisher.asked)
    assert not client.cookies


async def test_what_is_too_large_is_cut_off(publisher: Publishing, client: httpx.AsyncClient) -> None:
    publisher.document = b"#" * LARGEST_PUBLICATION
    assert await download(client, publisher.url) is not None
    publisher.document = b"#" * (64 * LARGEST_PUBLICATION)
    with pytest.raises(DownloadError, match="larger than 1 MiB"):
        await download(client, publisher.url)


async def test_what_is_packed_all_the_same_is_not_unpacked(
    publisher: Publishing, client: httpx.AsyncClient
) -> None:
    publisher.document, publisher.headers = gzip.compress(b"#" * 10**7), {"content-encoding": "gzip"}
    with pytest.raises(DownloadError, match="packed"):
        await download(client, publisher.url)


async def test_a_document_without_a_length_may_be_a_part(
    publisher: Publishing, client: httpx.AsyncClient
) -> None:
    publisher.length = None
    with pytest.raises(DownloadError, match="how long"):
        await download(client, publisher.url)


async def test_a_part_is_none(client: httpx.AsyncClient) -> None:
    async def cut(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n# half")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(cut, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DownloadError, match="closed"):
            await download(client, f"http://127.0.0.1:{port}/")


async def test_an_answer_that_trickles_ends(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(downloads, "_PATIENCE_SECONDS", 0.3)

    async def trickle(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        try:
            while True:
                writer.write(b"#")
                await writer.drain()
                await asyncio.sleep(0.02)
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(trickle, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(DownloadError, match=r"no whole answer within 0\.3s"):
            await download(client, f"http://127.0.0.1:{port}/")


async def test_nobody_there_is_told_of(client: httpx.AsyncClient) -> None:
    with pytest.raises(DownloadError, match=r"\w"):
        await download(client, Publishing().url)


async def test_only_the_authority_that_is_named_is_trusted() -> None:
    authority, stranger = Certificates.make(), Certificates.make()
    with Publishing(EUROPE, tls=authority.server("localhost")) as publisher:
        url = publisher.url.replace("127.0.0.1", "localhost")
        async with open_client(authority.authority) as client:
            assert await download(client, url) == Download(EUROPE.encode(), None)
            # A certificate of that authority, but of another name.
            with pytest.raises(DownloadError, match="certificate verify failed"):
                await download(client, publisher.url)
        async with open_client(stranger.authority) as client:
            with pytest.raises(DownloadError, match="certificate verify failed"):
                await download(client, url)
