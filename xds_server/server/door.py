"""The door of an HTTP port: how many connections are open at once, and how long each may take.

What a port has open it takes from the files that the whole process may have open. A client that connects and says
nothing, says it byte by byte, or does not read its answer must not use them up: the streams of Envoys are among them.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import structlog
from uvicorn.protocols.http.h11_impl import H11Protocol

log = structlog.get_logger("fairlead.server")

PATIENCE: Final = 20.0
"""Seconds from the connection, or the last answer, to when the next request is answered and the answer is taken."""
HANDSHAKE: Final = 5.0
"""Seconds for the handshake of TLS."""
_REST: Final = 1.0
"""Seconds without another attempt when there are no files left, and between two lines in the log."""
_BODY: Final = b'{"error": {"code": "TOO_MANY_CONNECTIONS", "message": "too many connections at once"}}'
_FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(_BODY), _BODY)
)


class Connection(H11Protocol):
    """uvicorn's own, with an end to the patience that it has with one request."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.on_lost: Callable[[], None] = _nothing
        self.since = self.loop.time()
        """When it began to wait for the request that is to come, or is being answered."""
        self._end: asyncio.TimerHandle | None = None

    @property
    def begun(self) -> bool:
        """Whether the handshake is over."""
        return self._end is not None

    @property
    def waiting(self) -> bool:
        """Whether no request is being answered: none came yet, or not the whole head of it."""
        return self.cycle is None or self.cycle.response_complete

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """As `asyncio.Protocol.connection_made`."""
        super().connection_made(transport)
        self._begin()

    def connection_lost(self, exc: Exception | None) -> None:
        """As `asyncio.Protocol.connection_lost`."""
        if self._end is not None:
            self._end.cancel()
        super().connection_lost(exc)
        self.on_lost()

    def on_response_complete(self) -> None:
        """Called by uvicorn when an answer is written."""
        super().on_response_complete()
        self._begin()

    def _begin(self) -> None:
        if self._end is not None:
            self._end.cancel()
        self.since = self.loop.time()
        self._end = self.loop.call_later(PATIENCE, self.transport.abort)


@dataclass(slots=True, eq=False)
class _Seat:
    """What one connection has, from when it is accepted on."""

    connection: Connection
    task: asyncio.Task[None] | None = None
    """The handshake, with which the connection begins."""
    begun: bool = False

    def clear(self) -> None:
        """End what has the seat, at once."""
        if self.connection.begun:
            self.connection.transport.abort()
        elif self.task is not None:
            self.task.cancel()


class Door:
    """Lets up to ``most`` connections in. One more takes the place of the one that has waited longest for a request.
    If all are being answered it is told to come again.

    ``welcome`` makes the protocol of a connection; with a ``context`` they speak TLS.
    """

    def __init__(
        self,
        listening: socket.socket,
        welcome: Callable[[], Connection],
        most: int,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._listening = listening
        self._welcome = welcome
        self._most = most
        self._context = context
        self._seats: set[_Seat] = set()
        self._told = float("-inf")

    async def run(self) -> None:
        """Let connections in until cancelled. Those that are there stay; those in a handshake don't."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    accepted, _ = await loop.sock_accept(self._listening)
                except ConnectionAbortedError:  # the client is gone already
                    continue
                except OSError as error:  # too many open files, most likely
                    self._tell("a connection cannot be accepted", reason=error.strerror or str(error))
                    await asyncio.sleep(_REST)
                    continue
                self._admit(accepted)
                await asyncio.sleep(0)  # lest a crowd at the door keeps everybody else waiting
        finally:
            for seat in self._seats:
                if not seat.connection.begun:
                    seat.clear()

    def _admit(self, accepted: socket.socket) -> None:
        if len(self._seats) >= self._most and not self._make_room():
            self._tell("a port has as many connections as it may", most=self._most)
            with accepted, suppress(OSError):
                if self._context is None:
                    accepted.send(_FULL)
            return
        seat = _Seat(self._welcome())
        seat.connection.on_lost = partial(self._seats.discard, seat)
        self._seats.add(seat)
        seat.task = asyncio.create_task(self._seat(seat, accepted), name="connection")
        seat.task.add_done_callback(partial(_close_unbegun, seat, accepted))

    def _make_room(self) -> bool:
        waiting = (each for each in self._seats if each.connection.waiting)
        seat = min(waiting, key=lambda each: each.connection.since, default=None)
        if seat is None:
            return False
        self._seats.discard(seat)
        seat.clear()
        return True

    async def _seat(self, seat: _Seat, accepted: socket.socket) -> None:
        seat.begun = True
        handshake = None if self._context is None else HANDSHAKE
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: seat.connection,
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=handshake,
                ssl_shutdown_timeout=handshake,
            )
        except OSError:  # no handshake came of it, which is the client's own affair
            self._seats.discard(seat)
        except BaseException:
            self._seats.discard(seat)
            raise

    def _tell(self, words: str, **more: Any) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._told >= _REST:
            self._told = now
            log.warning(words, **more)


def _close_unbegun(seat: _Seat, accepted: socket.socket, _: object) -> None:
    """Close what a task was given that was cancelled before it began."""
    if not seat.begun:
        accepted.close()


def _nothing() -> None:
    pass
