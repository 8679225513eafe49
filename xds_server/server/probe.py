"""Probes: the control plane's own look at the backends of a revision, as its health check says.

Load reports count requests, so they can't tell of a revision that gets none.
"""

from __future__ import annotations

import asyncio
import ssl
from contextlib import suppress
from typing import Final

import grpc
import grpc.aio
import httpx
from grpc_health.v1 import health_pb2, health_pb2_grpc

from xds_server.graph import Backend, HealthCheck, Revision

_TCP_SECONDS: Final = 1.0
_AT_ONCE: Final = 16


async def probe(revision: Revision, roots: str) -> str | None:
    """What the first backend in use that is not healthy says, in words; None if all are.

    ``roots`` are the CAs, in PEM, of backends that name none. Standbys, and backends that are not to be checked, are
    left out.
    """
    asked = [
        each for each in revision.backends if each.weight > 0 and not each.standby and each.health_checked
    ]
    if not any(each.weight > 0 for each in revision.backends):
        return f"revision {revision.name} has no backend in use"
    turns = asyncio.Semaphore(_AT_ONCE)

    async def ask(backend: Backend) -> str | None:
        async with turns:
            return await _ask(backend, revision.health_check, roots)

    found = await asyncio.gather(*map(ask, asked))
    return next((words for words in found if words is not None), None)


async def _ask(backend: Backend, check: HealthCheck | None, roots: str) -> str | None:
    host, port = backend.address.host, backend.health_port or backend.address.port
    try:
        if check is None or check.type == "tcp":
            await _connect(host, port, check.timeout if check is not None else _TCP_SECONDS)
        elif check.type == "grpc":
            await _call(backend, host, port, check, roots)
        else:
            await _get(backend, host, port, check, roots)
    except (OSError, TimeoutError, httpx.HTTPError, _UnhealthyError) as error:
        return f"{backend.address.authority} in {backend.place.name}: {str(error) or type(error).__name__}"
    return None


class _UnhealthyError(Exception):
    """A backend that answers otherwise than a healthy one."""


async def _connect(host: str, port: int, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        _, writer = await asyncio.open_connection(host, port)
    writer.close()
    with suppress(OSError):
        await writer.wait_closed()


async def _call(backend: Backend, host: str, port: int, check: HealthCheck, roots: str) -> None:
    target, tls = _join(host, port), backend.tls
    options = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
    if tls is None:
        channel = grpc.aio.insecure_channel(target, options)
    else:
        credentials = grpc.ssl_channel_credentials((tls.ca or roots).encode())
        channel = grpc.aio.secure_channel(
            target, credentials, [*options, ("grpc.ssl_target_name_override", tls.name)]
        )
    async with channel:
        stub = health_pb2_grpc.HealthStub(channel)
        asked = health_pb2.HealthCheckRequest(service=check.service)
        try:
            answer = await stub.Check(asked, timeout=check.timeout)
        except grpc.aio.AioRpcError as error:
            raise _UnhealthyError(f"{error.code().name}: {error.details()}") from error
    if answer.status != health_pb2.HealthCheckResponse.SERVING:
        status = health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)
        raise _UnhealthyError(f"its health service answers {status}")


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


async def _get(backend: Backend, host: str, port: int, check: HealthCheck, roots: str) -> None:
    tls = backend.tls
    verify: ssl.SSLContext | bool = False
    extensions = {}
    if tls is not None:
        verify = ssl.create_default_context(cadata=tls.ca or roots)
        extensions["sni_hostname"] = tls.name
    url = f"{'https' if tls is not None else 'http'}://{_join(host, port)}{check.path}"
    async with httpx.AsyncClient(timeout=check.timeout, trust_env=False, verify=verify) as client:
        answer = await client.get(url, extensions=extensions)
    if not any(low <= answer.status_code <= high for low, high in check.statuses):
        raise _UnhealthyError(f"{check.path} is answered with {answer.status_code}")
