"""A model that fails on demand, as a process of its own: `python model.py NAME PORT LOG [TLS]`.

Each line on its standard input is what it does from now on; it answers with the same line once that is so:

    well          200, and in the body what it was asked
    hang          takes requests and says nothing
    reset         resets the connection once the request is in
    slow          the same as `well`, after 200 ms
    hold          takes requests, and does with them what it does next, once it does something else
    stream        200, and some bytes every 250 ms, for 3.5 s
    stall         200, some bytes, and nothing any more
    status 503    that status, with `retry-after: 77`
    ill           the same as `well`, but for `/health`, where it says 503

Each request is a line of JSON in LOG before anything is done about it, so that it counts even if the process is killed;
but for `/health`, where it does the same. Each answer says that somebody else gave it, which nobody may be told.

TLS is a folder: with it the model is a TLS server with `chain.pem` and `key.pem`, and takes only clients that show a
certificate of an authority in `clients.pem`.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import struct
import sys

_FORGED = b"x-fairlead-served-by: 10.0.0.1\r\n"


class Model:
    def __init__(self, name: str, log: int) -> None:
        self.mood = "well"
        self._name = name
        self._log = log
        self._told = asyncio.Event()

    def obey(self, order: str) -> None:
        self.mood = order
        self._told.set()
        self._told = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while await self._answer(reader, writer):
                await writer.drain()
        except (ConnectionError, ssl.SSLError, asyncio.IncompleteReadError):
            pass  # the gateway hung up
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.split("\r\n")
        headers = {
            name.lower(): value.strip()
            for name, colon, value in (each.partition(":") for each in fields)
            if colon
        }
        await reader.readexactly(int(headers.get("content-length", "0")))
        method, target, _ = line.split(" ")
        heard = {"model": self._name, "method": method, "target": target, "headers": headers}
        told = json.dumps(heard).encode()
        if target != "/health":
            os.write(self._log, told + b"\n")
        while self.mood == "hold":
            await self._told.wait()
        mood = self.mood
        if mood == "ill":
            mood = "status 503" if target == "/health" else "well"
        return await self._do(mood, told, reader, writer)

    async def _do(
        self, mood: str, told: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        match mood.split():
            case ["hang"]:
                await reader.read(1)
                return False
            case ["reset"]:
                linger = struct.pack("ii", 1, 0)
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                writer.transport.abort()
                return False
            case ["status", status]:
                said = _FORGED + b"retry-after: 77\r\ncontent-length: 0\r\n\r\n"
                writer.write(b"HTTP/1.1 %s No\r\n%s" % (status.encode(), said))
                return True
            case ["stream"]:
                await _begin(writer)
                for _ in range(14):
                    await asyncio.sleep(0.25)
                    await _add(writer, b"more")
                await _add(writer, b"")
                return True
            case ["stall"]:
                await _begin(writer)
                await reader.read(1)
                return False
            case ["slow"]:
                await asyncio.sleep(0.2)
        writer.write(b"HTTP/1.1 200 OK\r\n%scontent-length: %d\r\n\r\n%s" % (_FORGED, len(told), told))
        return True


async def _begin(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n%stransfer-encoding: chunked\r\n\r\n" % _FORGED)
    await _add(writer, b"some")


async def _add(writer: asyncio.StreamWriter, piece: bytes) -> None:
    writer.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    await writer.drain()


def read_tls(folder: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=f"{folder}/clients.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_cert_chain(f"{folder}/chain.pem", f"{folder}/key.pem")
    return context


async def main(name: str, port: int, log: str, tls: str | None = None) -> None:
    model = Model(name, os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT))
    context = None if tls is None else read_tls(tls)
    listening = socket.create_server(("127.0.0.1", port))
    await asyncio.start_server(model.serve, sock=listening, ssl=context, backlog=1024)
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while order := await orders.readline():
        model.obey(order.decode().strip())
        sys.stdout.write(order.decode())
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), *sys.argv[3:]))
