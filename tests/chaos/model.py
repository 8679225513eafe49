"""A model that fails on demand, as a process of its own: `python model.py PORT LOG`.

Each line on its standard input is what it does from now on; it answers with the same line once that is so:

    well          200 and its own name
    hang          takes requests and says nothing
    reset         resets the connection once the request is in
    slow          200 after 200 ms
    status 503    that status, with `retry-after: 77`

Each request is a line in LOG before anything is done about it, so that it counts even if the process is killed; but for
`/health`, where it does the same.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys


class Model:
    def __init__(self, log: int) -> None:
        self.mood = "well"
        self._log = log

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while await self._answer(reader, writer):
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the gateway hung up
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in fields)}
        await reader.readexactly(int(headers.get("content-length", "0")))
        method, target, _ = line.split(" ")
        if target != "/health":
            os.write(self._log, f"{method} {target}\n".encode())
        return await self._do(reader, writer)

    async def _do(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        match self.mood.split():
            case ["hang"]:
                await reader.read(1)
                return False
            case ["reset"]:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
                return False
            case ["status", status]:
                writer.write(f"HTTP/1.1 {status} No\r\nretry-after: 77\r\ncontent-length: 0\r\n\r\n".encode())
            case ["slow"]:
                await asyncio.sleep(0.2)
                writer.write(_WELL)
            case _:
                writer.write(_WELL)
        return True


_WELL = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"


async def main(port: int, log: str) -> None:
    model = Model(os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    await asyncio.start_server(model.serve, sock=socket.create_server(("127.0.0.1", port)))
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while order := await orders.readline():
        model.mood = order.decode().strip()
        sys.stdout.write(order.decode())
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
