"""The control plane's own look at backends: as their health check says, and in words where one fails."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import grpc.aio
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from tests.e2e.certificates import Certificates
from tests.e2e.upstream import Upstreams
from tests.graph import world as w
from xds_server.graph import HealthCheck, Revision, UpstreamTls
from xds_server.policy import Address
from xds_server.server.probe import probe

CHECK = HealthCheck("http", "/", "", 1.0, 5.0, 1, 1, ((200, 299),))


@pytest.fixture
def upstreams() -> Iterator[Upstreams]:
    with Upstreams() as made:
        yield made


def revision(address: str, scheme: str = "http") -> Revision:
    """A revision with one backend."""
    host, _, port = address.rpartition(":")
    found = w.endpoint(w.build_graph(*w.FLEET, w.workspace(), w.model()))
    [deployment] = found.deployments
    [made] = deployment.revisions
    [backend] = made.backends
    there = Address("https" if scheme == "https" else "http", host, int(port), True)
    return replace(made, backends=(replace(backend, address=there),), health_check=CHECK)


async def test_all_answer(upstreams: Upstreams) -> None:
    one, two = upstreams.serve("one"), upstreams.serve("two")
    found = revision(one.address)
    found = replace(found, backends=(*found.backends, *revision(two.address).backends))
    assert await probe(found, "") is None
    assert [each.target for each in (*one.seen, *two.seen)] == ["/", "/"]


async def test_one_that_answers_otherwise_is_named(upstreams: Upstreams) -> None:
    one = upstreams.serve("one")
    found = replace(revision(one.address), health_check=replace(CHECK, path="/status/503"))
    assert await probe(found, "") == f"{one.address} in eu-west-3: /status/503 is answered with 503"
    assert (
        await probe(
            replace(found, health_check=replace(CHECK, path="/status/503", statuses=((503, 503),))), ""
        )
        is None
    )


async def test_one_that_is_silent_or_away_is_named(upstreams: Upstreams) -> None:
    one = upstreams.serve("one")
    silent = replace(revision(one.address), health_check=replace(CHECK, path="/silence", timeout=0.2))
    assert "Timeout" in str(await probe(silent, ""))
    for check in (CHECK, None, replace(CHECK, type="tcp"), replace(CHECK, type="grpc")):
        away = replace(revision(upstreams.dead()), health_check=check)
        assert away.backends[0].address.authority in str(await probe(away, ""))


async def test_without_a_check_a_connection_is_enough(upstreams: Upstreams) -> None:
    one = upstreams.serve("one")
    assert await probe(replace(revision(one.address), health_check=None), "") is None
    assert one.seen == []


@pytest.mark.parametrize("secure", [False, True])
async def test_a_grpc_health_service_is_asked(secure: bool) -> None:
    service, server = health.aio.HealthServicer(), grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(service, server)
    certificates = Certificates.make()
    pair = (certificates.key.encode(), certificates.chain("models.test").encode())
    port = (
        server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        if secure
        else server.add_insecure_port("127.0.0.1:0")
    )
    await server.start()
    try:
        found = replace(
            revision(f"127.0.0.1:{port}"), health_check=replace(CHECK, type="grpc", service="llm")
        )
        tls = _tls("models.test", certificates.authority) if secure else None
        found = replace(found, backends=(replace(found.backends[0], tls=tls),))
        assert "NOT_FOUND" in str(await probe(found, ""))
        await service.set("llm", health_pb2.HealthCheckResponse.NOT_SERVING)
        assert "its health service answers NOT_SERVING" in str(await probe(found, ""))
        await service.set("llm", health_pb2.HealthCheckResponse.SERVING)
        assert await probe(found, "") is None
    finally:
        await server.stop(0)


async def test_who_is_not_in_use_or_not_to_be_checked_is_not_asked(upstreams: Upstreams) -> None:
    one, dead = upstreams.serve("one"), revision(upstreams.dead()).backends[0]
    found = revision(one.address)
    for other in (replace(dead, standby=True), replace(dead, weight=0), replace(dead, health_checked=False)):
        assert await probe(replace(found, backends=(*found.backends, other)), "") is None
    for none in ((), (replace(dead, weight=0),)):
        assert await probe(replace(found, backends=none), "") == "revision v1 has no backend in use"


async def test_the_certificate_of_a_backend_is_checked(upstreams: Upstreams, tmp_path: Path) -> None:
    certificates = Certificates.make()
    for name, text in {"c.pem": certificates.chain("models.test"), "k.pem": certificates.key}.items():
        (tmp_path / name).write_text(text)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    one = upstreams.serve("one", context)
    found = revision(one.address, "https")
    good = replace(found.backends[0], tls=_tls("models.test", certificates.authority))
    assert await probe(replace(found, backends=(good,)), "") is None
    for bad in (
        _tls("others.test", certificates.authority),
        _tls("models.test", Certificates.make().authority),
    ):
        told = await probe(replace(found, backends=(replace(good, tls=bad),)), "")
        assert "CERTIFICATE_VERIFY_FAILED" in str(told)


def _tls(name: str, ca: str) -> UpstreamTls:
    return UpstreamTls(name, False, "ca.pem", ca)
