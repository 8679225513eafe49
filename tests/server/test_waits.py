"""The access log in which Envoys say that requests wait: what is read out of it, and from whom it is taken."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
import pytest
from google.protobuf.wrappers_pb2 import StringValue

from tests.server.planes import PATIENCE, catalogue, local_channel, message, serving, until
from xds_server.server import ControlPlane, waits
from xds_server.server.waits import Want
from xds_server.snapshot import WAITED_PATH, WAITS_LOG

METHOD = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
MESSAGE = "envoy.service.accesslog.v3.StreamAccessLogsMessage"


class Heard:
    """A control plane, and what it was told."""

    def __init__(self, plane: ControlPlane) -> None:
        self.plane = plane
        self.wants: list[tuple[str, Want]] = []
        plane.waits.on_wait = lambda region, want: self.wants.append((region, want))


@pytest.fixture
async def heard() -> AsyncIterator[Heard]:
    async with serving() as plane:
        await plane.publish(catalogue(1))
        yield Heard(plane)


def entries(*paths: str, node: str = "node-1", log: str = WAITS_LOG) -> bytes:
    """A first message: one request for each path."""
    made: Any = message(MESSAGE)
    made.identifier.log_name = log
    made.identifier.node.id, made.identifier.node.cluster = node, "edge"
    made.identifier.node.locality.region = "eu-west-3"
    return _add(made, *paths)


def more(*paths: str) -> bytes:
    return _add(message(MESSAGE), *paths)


def _add(made: Any, *paths: str) -> bytes:
    for path in paths:
        properties = made.http_logs.log_entry.add().common_properties
        properties.custom_tags["environment"] = "production"
        properties.custom_tags["revisions"] = "v1,v2"
        noted = properties.filter_state_objects[WAITED_PATH]
        noted.type_url = "type.googleapis.com/google.protobuf.StringValue"
        noted.value = StringValue(value=path).SerializeToString()
    encoded: bytes = made.SerializeToString()
    return encoded


async def test_what_requests_wait_for(heard: Heard) -> None:
    async with local_channel(heard.plane.xds_port) as channel:
        call: Any = channel.stream_unary(METHOD)()
        path = "/acme/models/llama/v1/chat?environment=production"
        await call.write(entries(path, path, "/acme/models/llama"))
        await until(lambda: heard.wants)
        # However many requests wait, a message is told of once.
        want = Want("acme/models/llama", "production", ("v1", "v2"))
        assert heard.wants == [("eu-west-3", want)]
        await call.write(more("/acme/agents/helper/"))
        await until(lambda: len(heard.wants) == 2)
        assert heard.wants[1] == ("eu-west-3", want._replace(path="acme/agents/helper"))
        await call.done_writing()
        assert await call == b""


async def test_an_entry_without_any_of_it_means_nobody(heard: Heard) -> None:
    async with local_channel(heard.plane.xds_port) as channel:
        call: Any = channel.stream_unary(METHOD)()
        bare: Any = message(MESSAGE, entries())
        bare.http_logs.log_entry.add()
        await call.write(bare.SerializeToString())
        await until(lambda: heard.wants)
        assert heard.wants == [("eu-west-3", Want("", "", ()))]


async def test_a_path_that_is_no_text_takes_nobody_along(heard: Heard) -> None:
    async with local_channel(heard.plane.xds_port) as channel:
        call: Any = channel.stream_unary(METHOD)()
        odd: Any = message(MESSAGE, entries("/acme/models/llama", "/acme/models/mistral"))
        noted = odd.http_logs.log_entry[0].common_properties.filter_state_objects[WAITED_PATH]
        noted.value = b"\x0a\x05/acm\xff"
        await call.write(odd.SerializeToString())
        await until(lambda: heard.wants)
        assert [want.path for _, want in heard.wants] == ["acme/models/mistral"]
        await call.done_writing()
        assert await call == b""


async def test_a_stream_on_which_nothing_is_said_gives_its_seat_back(
    heard: Heard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waits, "IDLE", 0.2)

    async def once() -> AsyncIterator[bytes]:
        yield entries("/acme/models/llama")
        await asyncio.Event().wait()

    async with local_channel(heard.plane.xds_port) as channel, asyncio.timeout(PATIENCE):
        while not heard.wants:  # on a slow machine a stream may be over before anything is heard of it
            assert await channel.stream_unary(METHOD)(once()) == b""
        assert len(heard.wants) == 1


@pytest.mark.parametrize(
    "payload", [entries("/a/models/b", node=""), entries("/a/models/b", log="other"), more("/a/b/c"), b"\xff"]
)
async def test_nobody_else_is_heard(heard: Heard, payload: bytes) -> None:
    async with local_channel(heard.plane.xds_port) as channel:
        call: Any = channel.stream_unary(METHOD)()
        await call.write(payload)
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert heard.wants == []


async def test_a_stop_ends_it(heard: Heard) -> None:
    async with local_channel(heard.plane.xds_port) as channel:
        call: Any = channel.stream_unary(METHOD)()
        await call.write(entries("/acme/models/llama"))
        await until(lambda: heard.wants)
        async with asyncio.timeout(PATIENCE):
            await heard.plane.stop(5.0)
            assert await call == b""
