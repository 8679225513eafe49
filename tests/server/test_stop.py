"""The end of a control plane has an end."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.server.planes import PATIENCE, boot, catalogue, cluster, get, serving, until
from tests.xds.raw_client import RawClient
from xds_server.server import control_plane
from xds_server.server.ending import end


class Stubborn:
    """A call that does not end, not even when it is cancelled, until the test lets it."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.free = asyncio.Event()
        self.ended = asyncio.Event()

    def add_to(self, server: grpc.aio.Server) -> None:
        handler = grpc.unary_unary_rpc_method_handler(self._wait)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("stubborn", {"Wait": handler}),)
        )

    async def _wait(self, _: bytes, __: Any) -> bytes:
        self.started.set()
        while not self.free.is_set():
            try:
                await self.free.wait()
            except asyncio.CancelledError:
                continue
        self.ended.set()
        return b""


async def test_a_call_that_refuses_to_end_does_not_keep_the_server_from_stopping() -> None:
    async with serving() as plane:
        assert plane._server is not None
        stubborn = Stubborn()
        stubborn.add_to(plane._server)
        async with grpc.aio.insecure_channel(f"127.0.0.1:{plane.xds_port}") as channel:
            call = channel.unary_unary("/stubborn/Wait")(b"")
            try:
                await asyncio.wait_for(stubborn.started.wait(), PATIENCE)
                await asyncio.wait_for(plane.stop(0.1), PATIENCE)
                for port in (plane.xds_port, plane.admin_port):
                    with pytest.raises(OSError, match="onnect"):
                        await asyncio.open_connection("127.0.0.1", port)
            finally:
                stubborn.free.set()
            await until(stubborn.ended.is_set)
            call.cancel()


async def test_connections_kept_alive_do_not_hold_up_the_end(logged: list[dict[str, Any]]) -> None:
    async with serving() as plane:
        await plane.publish(catalogue(1, cluster("a")))
        client = RawClient(plane.xds_port)
        await boot(client)
        idle_reader, idle = await asyncio.open_connection("127.0.0.1", plane.admin_port)
        idle.write(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert b"200" in await idle_reader.readline()
        _, half = await asyncio.open_connection("127.0.0.1", plane.admin_port)
        half.write(b"GET /healthz HTTP/1.1\r\nho")
        await half.drain()
        await asyncio.wait_for(plane.stop(0.1), PATIENCE)
        assert not [each for each in logged if each["log_level"] == "warning"]
        for writer in (idle, half):
            writer.close()
        await client.close()


@pytest.mark.parametrize(("part", "attribute"), [("gRPC", "_server"), ("admin HTTP", "_admin")])
async def test_a_part_that_hangs_is_left_with_a_warning_and_the_other_is_ended(
    part: str, attribute: str, monkeypatch: pytest.MonkeyPatch, logged: list[dict[str, Any]]
) -> None:
    free = asyncio.Event()

    async def end_in_time(name: str, ending: Coroutine[Any, Any, None], seconds: float) -> bool:
        return await end(name, ending, 0.2 if name == part else seconds + PATIENCE)

    # The other has all the time it may need.
    monkeypatch.setattr(control_plane, "end", end_in_time)

    async def ended() -> None:
        free.set()
        await until(lambda: not [each for each in asyncio.all_tasks() if each.get_name() == f"end of {part}"])

    async with serving() as plane:
        assert (await get(plane, "/healthz")).status_code == 200
        hanging = getattr(plane, attribute)
        stop = hanging.stop

        async def hang(*arguments: Any) -> None:
            await free.wait()
            await stop(*arguments)

        monkeypatch.setattr(hanging, "stop", hang)
        try:
            await asyncio.wait_for(plane.stop(0.1), PATIENCE)
            [warning] = [each for each in logged if each["log_level"] == "warning"]
            assert (warning["event"], warning["part"]) == ("a part does not end; it is left", part)
            other = plane.admin_port if part == "gRPC" else plane.xds_port
            with pytest.raises(OSError, match="onnect"):
                await asyncio.open_connection("127.0.0.1", other)
        finally:
            await ended()


async def test_what_an_end_raises_in_time_is_raised() -> None:
    async def fail() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await end("something", fail(), PATIENCE)
